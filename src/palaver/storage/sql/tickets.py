"""Who waits for a client's turn, in order of arrival between processes. Pure; guard.py stores it.

A request that finds its client's turn calling the outside puts a ticket behind those that are
there, into the client's row: `owner` (16 bytes), the process it waits in, and until when it counts,
by the database's clock. Nobody begins a turn while another process's ticket is first. Which of its
requests a ticket of a process is for, the process knows: in itself they wait in order of arrival.
Its first one, or the turn that calls, renews them all; who died loses them within TICKET_US.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

TICKET_US: Final = 1_000_000
"""How long a ticket counts that nobody renews, in microseconds."""

PLACES: Final = 64
"""Tickets of one process for one client; requests behind get theirs when others are served."""

_TICKET: Final = struct.Struct(">16sq")


@dataclass(frozen=True, slots=True)
class Line:
    """Those who wait, first one first: owners and until when their tickets count."""

    tickets: tuple[tuple[bytes, int], ...] = ()

    def is_behind(self, owner: bytes) -> bool:
        """Whether anybody else is to go before this owner."""
        return bool(self.tickets) and self.tickets[0][0] != owner

    def joined(self, owner: bytes, now_us: int, count: int = 1) -> Line:
        """With so many tickets of the owner: those that are there keep their places, more come at
        the end, the last ones go. The same line if all count for a while still."""
        wanted = min(count, PLACES)
        own = [until_us for waiting, until_us in self.tickets if waiting == owner]
        if len(own) == wanted and all(until_us - now_us > TICKET_US // 2 for until_us in own):
            return self
        ticket, kept = (owner, now_us + TICKET_US), 0
        tickets = []
        for found in self.tickets:
            if found[0] != owner:
                tickets.append(found)
            elif kept < wanted:
                kept += 1
                tickets.append(ticket)
        return Line((*tickets, *[ticket] * (wanted - kept)))

    def left(self, owner: bytes) -> Line:
        """Without the owner's first ticket."""
        for place, (waiting, _) in enumerate(self.tickets):
            if waiting == owner:
                return Line((*self.tickets[:place], *self.tickets[place + 1 :]))
        return self

    def stored(self) -> bytes | None:
        """None for an empty line."""
        return b"".join(_TICKET.pack(*ticket) for ticket in self.tickets) or None


def line_from_stored(stored: bytes, now_us: int) -> Line:
    """Without tickets that are over, and those from before the database's clock was set back."""
    tickets = _TICKET.iter_unpack(stored)
    return Line(tuple(t for t in tickets if now_us < t[1] <= now_us + TICKET_US))
