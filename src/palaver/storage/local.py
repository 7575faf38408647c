"""A turn where no other process writes. Holding its own client takes nothing but a note, for the
engine's own turnstile keeps a client's turns apart; a turn that goes on with another bot waits for
that bot's client, and keeps others from it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING

from palaver.errors import ConversationBusy
from palaver.storage.protocol import Leased

if TYPE_CHECKING:
    from palaver.model import Client
    from palaver.storage.protocol import ClientState, StoredAnswer, Turns

BESIDE_WAIT_S, BESIDE_MOMENT_S, BESIDE_PAUSE_S = 30.0, 2.0, 0.01
"""How long a turn that switches to another bot waits for its client, and between two looks."""


class LocalTurns:
    """The turns that are under way, by client: their own, and those that they went on to."""

    __slots__ = ("_beside", "_own", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._own: dict[Client, LocalTurn] = {}
        self._beside: dict[Client, LocalTurn] = {}

    def begin(self, client: Client, answer: StoredAnswer | None) -> LocalTurn | Leased:
        """Leased: a turn of another client goes on with this one."""
        if client in self._beside:
            return Leased(math.inf, is_same=False)
        turn = self._own[client] = LocalTurn(self, self._turns, client, answer)
        return turn

    async def hold_beside(self, turn: LocalTurn, client: Client) -> None:
        """Two turns that wait for each other's clients would wait for ever: one that asks for them
        in their order may wait long, one that does not only for a moment.

        Raises:
            ConversationBusy: the client's turn takes too long.
        """
        wait_s = BESIDE_WAIT_S if client > max(turn.clients) else BESIDE_MOMENT_S
        until = time.monotonic() + wait_s
        while client in self._own or self._beside.get(client, turn) is not turn:
            if time.monotonic() >= until:
                raise ConversationBusy(
                    f"a turn of client {tuple(client)}, to whose bot this one switches, took "
                    f"longer than {wait_s:g} s; try again"
                )
            await asyncio.sleep(BESIDE_PAUSE_S)
        self._beside[client] = turn
        turn.clients.append(client)

    def end(self, turn: LocalTurn) -> None:
        for held in (self._own, self._beside):
            for client in turn.clients:
                if held.get(client) is turn:
                    del held[client]


class LocalTurn:
    """`storage.protocol.OpenTurn` over a storage of one process."""

    __slots__ = ("_all", "_turns", "answer", "clients", "commit")

    def __init__(
        self, all_turns: LocalTurns, turns: Turns, client: Client, answer: StoredAnswer | None
    ) -> None:
        self._all = all_turns
        self._turns = turns
        self.clients = [client]
        self.answer = answer
        self.commit = turns.commit_turn

    def load(self, client: Client, now: datetime) -> Awaitable[ClientState]:
        if client == self.clients[0]:
            return self._turns.load_client(client, now)
        return self._load_beside(client, now)

    async def _load_beside(self, client: Client, now: datetime) -> ClientState:
        if client not in self.clients:
            await self._all.hold_beside(self, client)
        return await self._turns.load_client(client, now)

    async def lease(self) -> None:
        """Nobody else could take the turn."""

    async def abandon(self) -> None:
        """Others may have its clients."""
        self._all.end(self)
