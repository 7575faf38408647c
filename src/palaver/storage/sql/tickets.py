"""Who waits for a client's turn, in order of arrival between processes. Pure; guard.py stores it.

A process that meets another one's lease puts a ticket behind those that are there, into the
client's row: `owner` (16 bytes) and until when it counts, by the database's clock. Nobody begins a
turn while somebody else's ticket is first. Who waits renews it; who died loses it within TICKET_US.
A process has at most one ticket for a client, for in itself a client's turns exclude each other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

TICKET_US: Final = 1_000_000
"""How long a ticket counts that nobody renews, in microseconds."""

_TICKET: Final = struct.Struct(">16sq")


@dataclass(frozen=True, slots=True)
class Line:
    """Those who wait, first one first: owners and until when their tickets count."""

    tickets: tuple[tuple[bytes, int], ...] = ()

    def is_behind(self, owner: bytes) -> bool:
        """Whether anybody else is to go before this owner."""
        return bool(self.tickets) and self.tickets[0][0] != owner

    def joined(self, owner: bytes, now_us: int) -> Line:
        """With the owner's ticket, at its place or at the end; the same line if it still counts
        for a while."""
        for place, (waiting, until_us) in enumerate(self.tickets):
            if waiting == owner:
                if until_us - now_us > TICKET_US // 2:
                    return self
                renewed = (owner, now_us + TICKET_US)
                return Line((*self.tickets[:place], renewed, *self.tickets[place + 1 :]))
        return Line((*self.tickets, (owner, now_us + TICKET_US)))

    def left(self, owner: bytes) -> Line:
        """Without the owner's ticket."""
        return Line(tuple(ticket for ticket in self.tickets if ticket[0] != owner))

    def stored(self) -> bytes | None:
        """None for an empty line."""
        return b"".join(_TICKET.pack(*ticket) for ticket in self.tickets) or None


def line_from_stored(stored: bytes, now_us: int) -> Line:
    """Without tickets that are over, and those from before the database's clock was set back."""
    tickets = _TICKET.iter_unpack(stored)
    return Line(tuple(t for t in tickets if now_us < t[1] <= now_us + TICKET_US))
