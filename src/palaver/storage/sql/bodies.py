"""Whether what is stored can be used: bodies open with the keys that are given, and are JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from palaver.errors import StorageError
from palaver.storage.cipher import SEALED, SEALED_TEXT, Cipher, PlainCipher
from palaver.storage.sql.layout import Table

_JSON: Final = {
    "client": ("hold", "previous_bot"),
    "memory": ("value",),
    "turn": ("messages",),
    "content": ("body",),
    "version": ("env",),
    "person": ("attributes",),
    "session": ("data",),
    "job": ("arguments",),
}
"""Columns that hold JSON when they are open."""


class Bodies:
    """Reads tables, and notes what of them cannot be used.

    Args:
        cipher: the keys; without it sealed bodies are passed over.
    """

    def __init__(self, cipher: Cipher | None) -> None:
        self._cipher = cipher or PlainCipher()
        self._is_plain = self._cipher.is_plain
        self._counts: Counter[tuple[str, str]] = Counter()
        self._errors: dict[tuple[str, str], str] = {}

    def read(self, table: Table, records: Iterable[bytes]) -> int:
        """How many records there are."""
        row_of, known = table.recorder.row, _JSON.get(table.name, ())
        columns = [
            (index, column, column in known)
            for index, column in enumerate(table.columns)
            if table.kinds[index] is not int
        ]
        count = 0
        for record in records:
            count += 1
            row = row_of(record)
            for index, column, is_json in columns:
                value = row[index]
                if value is not None:
                    self._look(table.name, column, value, is_json=is_json)
        return count

    def _look(self, table: str, column: str, value: str | bytes, *, is_json: bool) -> None:
        sealed: Any = SEALED if isinstance(value, bytes) else SEALED_TEXT
        is_sealed = value.startswith(sealed)
        if (is_sealed and self._is_plain) or not (is_sealed or is_json):
            return
        try:
            opened = (
                self._cipher.unseal(value)
                if isinstance(value, bytes)
                else self._cipher.unseal_text(value)
            )
            if is_json:
                msgspec.json.decode(opened)
        except (StorageError, msgspec.DecodeError, UnicodeError) as error:
            self._counts[table, column] += 1
            self._errors.setdefault((table, column), str(error))

    def problems(self) -> tuple[str, ...]:
        """A sentence for each column with bodies that cannot be used."""
        return tuple(
            f"{count} rows of {table} cannot be used, their {column} is damaged or sealed "
            f"otherwise: {self._errors[table, column]}"
            for (table, column), count in sorted(self._counts.items())
        )
