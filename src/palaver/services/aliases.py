"""Second ids, derived: a thing has one id of its native shape and one for the other dialects.

The same native id gives the same alias on every machine. Spec: dialects.md §1.
"""

from __future__ import annotations

import hashlib
import re
import uuid

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_SHORT = re.compile(r"[0-9A-Za-z]{24}")


def hex_alias(kind: str, native: str) -> str:
    """24 lower-case hexadecimal digits for a thing.

    Args:
        kind: what it is (`bot`, `flow`, `step` …), so that equal names of different things differ.
        native: its own id, unique among its kind.
    """
    return _digest(kind, native)[:12].hex()


def uuid_alias(kind: str, native: str) -> str:
    """A UUID (of the form of version 4) for a thing. Args: as `hex_alias`."""
    return str(uuid.UUID(bytes=_digest(kind, native)[:16], version=4))


def is_uuid(text: str) -> bool:
    """Whether it is a UUID in its usual spelling, of any version."""
    return _UUID.fullmatch(text) is not None


def is_short_id(text: str) -> bool:
    """Whether it is a clustaar id: 24 letters and digits."""
    return _SHORT.fullmatch(text) is not None


def bot_uuid(bot_id: str) -> str:
    """The bot's id in the Studio dialect: its own if that is a UUID."""
    return bot_id.lower() if is_uuid(bot_id) else uuid_alias("bot", bot_id)


def bot_hex(bot_id: str) -> str:
    """The bot's id in the clustaar dialect: its own if that has 24 letters and digits."""
    return bot_id if is_short_id(bot_id) else hex_alias("bot", bot_id)


def flow_uuid(bot_id: str, flow_name: str) -> str:
    """The id of a flow that came from a folder."""
    return uuid_alias("flow", f"{bot_id}/{flow_name}")


def _digest(kind: str, native: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{native}".encode("utf-8", "surrogatepass")).digest()
