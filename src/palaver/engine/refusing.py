"""A scenario that takes no event: of a served bot that cannot run, because all its builds were
deleted or its newest one lacks the default flow. Spec: csml-engine-runtime §2.1, §3 (step 5).

So a bot that is served keeps its ids and keys, and every dialect tells what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable

from palaver.effects import Effect, Host
from palaver.engine.scenario import Entry, Place, TurnInput
from palaver.errors import EngineError
from palaver.model import Event

Flows = tuple[tuple[str, str, tuple[str, ...]], ...]


class Refusing:
    """Answers every event with an error. Args: error: makes it; flows: for aliases."""

    def __init__(self, error: Callable[[], EngineError], flows: Flows = ()) -> None:
        self._error = error
        self._flows = flows

    def choose(self, event: Event, place: Place, pick: Callable[[int], int]) -> Entry:
        raise self._error()

    def resume(self, place: Place) -> Entry | None:
        raise self._error()

    def begin(self) -> Entry:
        raise self._error()

    def find_step(self, flow: str, step: str) -> bool:
        return False

    def flow_steps(self) -> Flows:
        return self._flows

    def run(self, turn: TurnInput, host: Host, on_slice: Callable[[], None]) -> list[Effect]:
        raise self._error()
