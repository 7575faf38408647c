"""Where a listing goes on, as an opaque text: stable under inserts, for it names a position.

A cursor that cannot be read means the first page (Spec: engine §19.1), never an error.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")

Position: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A number that fits a column, whatever a caller wrote into the cursor."""

LAST_POSITION = 2**63 - 1
"""After every stored row: where a listing that is newest first begins."""


def cursor_from_position(position: object) -> str:
    """`position` is a tuple of JSON values; the text is safe in a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def position_from_cursor(cursor: str | None, shape: type[T]) -> T | None:
    """The position when it has the shape, else None: no cursor, or none of ours."""
    if not cursor:
        return None
    try:
        encoded = cursor.encode("ascii")
        raw = base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
        return msgspec.json.decode(raw, type=shape)
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        return None
