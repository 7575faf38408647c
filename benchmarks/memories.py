"""Memories as rows or as one document: microseconds of a turn's read and write.

`uv run python benchmarks/memories.py`: at 1, 50 and 1,000 keys, reads all and writes one changed
key in a transaction, without waiting for the disk. Three ways:

- rows: a row a memory, read row by row;
- gathered: a row a memory, gathered by the database into one JSON object (what Palaver does);
- document: all memories in one column, read, changed and written back as a whole.

The last column is what a turn's write adds to the write-ahead log.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

CLIENTS = 100
SCHEMA = """
CREATE TABLE memory (client BLOB, key TEXT, value TEXT, created_at INTEGER, expires_at INTEGER,
                     PRIMARY KEY (client, key)) WITHOUT ROWID;
CREATE TABLE document (client BLOB PRIMARY KEY, memories BLOB) WITHOUT ROWID;
"""
LIVE = "FROM memory WHERE client = ? AND (expires_at IS NULL OR expires_at > ?)"
UPSERT = """INSERT INTO memory VALUES (?, ?, ?, ?, NULL)
ON CONFLICT (client, key) DO UPDATE SET value = excluded.value"""
REPLACE = "REPLACE INTO document VALUES (?, ?)"
NOW = 1_700_000_000_000_000

texts = msgspec.json.Decoder(dict[str, str]).decode
entries = msgspec.json.Decoder(dict[str, tuple[str, int, int | None]]).decode


class Ways:
    def __init__(self, connection: sqlite3.Connection, keys: int) -> None:
        self.run = connection.execute
        self.client = (CLIENTS // 2).to_bytes(16, "big")
        self.turn = 0
        connection.executescript(SCHEMA)
        for number in range(CLIENTS):
            client = number.to_bytes(16, "big")
            values = {f"memory_{i}": f'{{"name":"value {i}","count":{i}}}' for i in range(keys)}
            rows = [(client, key, text, NOW) for key, text in values.items()]
            connection.executemany(UPSERT, rows)
            document = {key: (text, NOW, None) for key, text in values.items()}
            self.run(REPLACE, (client, msgspec.json.encode(document)))

    def read_rows(self) -> dict[str, str]:
        return dict(self.run("SELECT key, value " + LIVE, (self.client, NOW)).fetchall())

    def read_gathered(self) -> dict[str, str]:
        sql = "SELECT json_group_object(key, value) " + LIVE
        return texts(self.run(sql, (self.client, NOW)).fetchone()[0])

    def read_document(self) -> dict[str, str]:
        return {key: entry[0] for key, entry in self._document().items()}

    def write_row(self) -> None:
        self.turn += 1
        self.run("BEGIN")
        self.run(UPSERT, (self.client, "memory_0", f'"turn {self.turn}"', NOW))
        self.run("COMMIT")

    def write_document(self) -> None:
        self.turn += 1
        self.run("BEGIN")
        document = self._document()
        document["memory_0"] = (f'"turn {self.turn}"', NOW, None)
        self.run(REPLACE, (self.client, msgspec.json.encode(document)))
        self.run("COMMIT")

    def _document(self) -> dict[str, tuple[str, int, int | None]]:
        sql = "SELECT memories FROM document WHERE client = ?"
        return entries(self.run(sql, (self.client,)).fetchone()[0])


def us_of(call: Callable[[], object]) -> float:
    call()
    best = float("inf")
    for _ in range(7):
        calls, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < 0.05:
            call()
            calls += 1
        best = min(best, passed / calls)
    return best * 1e6


def logged_by(connection: sqlite3.Connection, path: str, call: Callable[[], object]) -> int:
    """Bytes that one call appends to an empty write-ahead log."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    call()
    return Path(f"{path}-wal").stat().st_size


def main() -> None:
    print("   keys  way        read, µs  write, µs  log, bytes")
    for keys in (1, 50, 1000):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/memories.db"
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = OFF")
                ways = Ways(connection, keys)
                for name, read, write in (
                    ("rows", ways.read_rows, ways.write_row),
                    ("gathered", ways.read_gathered, ways.write_row),
                    ("document", ways.read_document, ways.write_document),
                ):
                    times = us_of(read), us_of(write)
                    log = logged_by(connection, path, write)
                    print(f"{keys:7}  {name:9} {times[0]:9.1f} {times[1]:10.1f} {log:11}")


if __name__ == "__main__":
    main()
