"""A row as bytes that are the same for both databases, and a digest of many of them.

A record is a row of PostgreSQL's binary COPY format (its manual, "COPY", "Binary Format"): what is
read from SQLite is encoded once, and the same bytes are hashed and sent; what PostgreSQL gives out
is hashed as it comes. Integers have eight bytes, texts are UTF-8 as `pgconnection.encode_text`
writes them.

The digest of a table is the sum of its rows' SHA-256, modulo 2^256. No order is needed, and a row
that changes is taken out and put in again without reading the others. It finds what went wrong by
itself; it is no proof against somebody who makes up rows on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from struct import Struct
from typing import Any, Final, TypeAlias

from palaver.storage.copies import TableContent
from palaver.storage.sql.pgtext import decode_text, encode_text

Kind: TypeAlias = "type[int] | type[str] | type[bytes]"

_COUNT, _LENGTH, _INTEGER = Struct("!h"), Struct("!i"), Struct("!iq")
_EIGHT: Final = 8
_NULL: Final = _LENGTH.pack(-1)
_MODULUS: Final = 1 << 256


class Mismatch(ValueError):
    """A value is not of its column's kind. `column` is its index."""

    def __init__(self, column: int, value: object) -> None:
        super().__init__(f"{type(value).__name__} in place of what belongs there")
        self.column = column


class Recorder:
    """Rows ↔ records of one table."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = tuple(kinds)
        self._head = _COUNT.pack(len(self._kinds))

    def record(self, row: Sequence[Any]) -> bytes:
        """Raises: Mismatch."""
        pieces = [self._head]
        for index, (kind, value) in enumerate(zip(self._kinds, row, strict=True)):
            if value is None:
                pieces.append(_NULL)
                continue
            belongs = value.__class__ is kind
            if not belongs:
                raise Mismatch(index, value)
            if kind is int:
                pieces.append(_INTEGER.pack(_EIGHT, value))
                continue
            stored = encode_text(value) if kind is str else value
            pieces.append(_LENGTH.pack(len(stored)))
            pieces.append(stored)
        return b"".join(pieces)

    def row(self, record: bytes) -> tuple[Any, ...]:
        """What `record` was given."""
        row: list[Any] = []
        at = _COUNT.size
        for kind in self._kinds:
            (length,) = _LENGTH.unpack_from(record, at)
            at += _LENGTH.size
            if length < 0:
                row.append(None)
                continue
            stored = record[at : at + length]
            at += length
            if kind is int:
                row.append(int.from_bytes(stored, "big", signed=True))
            else:
                row.append(decode_text(stored) if kind is str else stored)
        return tuple(row)


class Digest:
    """How many records there are, and their digest; grows and shrinks with them."""

    __slots__ = ("_sum", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, record: bytes) -> None:
        self.rows += 1
        self._sum += int.from_bytes(sha256(record).digest(), "big")

    def remove(self, record: bytes) -> None:
        self.rows -= 1
        self._sum -= int.from_bytes(sha256(record).digest(), "big")

    def passing(self, records: Iterable[bytes]) -> Iterator[bytes]:
        """The records, each added as it goes by."""
        for record in records:
            self.add(record)
            yield record

    def content(self) -> TableContent:
        return TableContent(self.rows, f"{self._sum % _MODULUS:064x}")
