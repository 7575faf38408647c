"""Edits of a record and turns in progress keep apart."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from palaver.http.dialects.clustaar.edits import Edits


class Story:
    """Notes who is in, in order."""

    def __init__(self) -> None:
        self.edits = Edits()
        self.told: list[str] = []

    async def live(
        self, name: str, inside: AbstractAsyncContextManager[None], leave: asyncio.Event
    ) -> None:
        async with inside:
            self.told.append(f"{name} in")
            await leave.wait()
        self.told.append(f"{name} out")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def play() -> list[str]:
    story = Story()
    edits = story.edits
    leave = {name: asyncio.Event() for name in ("a", "b", "edit", "late", "other")}
    async with asyncio.TaskGroup() as tasks:

        def start(name: str, inside: AbstractAsyncContextManager[None]) -> None:
            tasks.create_task(story.live(name, inside, leave[name]))

        start("a", edits.turn("p"))
        start("b", edits.turn("p"))
        await settle()
        start("edit", edits.edit("p"))
        await settle()
        start("late", edits.turn("p"))
        start("other", edits.edit("q"))
        await settle()
        for name in ("a", "b", "edit", "late", "other"):
            leave[name].set()
            await settle()
    assert not edits._records
    return story.told


def test_turns_go_together_an_edit_waits_for_them_and_later_turns_for_the_edit() -> None:
    assert asyncio.run(play()) == [
        "a in",
        "b in",
        "other in",
        "a out",
        "b out",
        "edit in",
        "edit out",
        "late in",
        "late out",
        "other out",
    ]


def test_an_edit_that_is_cancelled_lets_the_others_go_on() -> None:
    async def cancel() -> None:
        edits = Edits()
        async with edits.turn("p"):
            waiting = asyncio.create_task(edits.edit("p").__aenter__())
            await settle()
            waiting.cancel()
            await settle()
        async with asyncio.timeout(1):
            async with edits.turn("p"):
                pass
            async with edits.edit("p"):
                pass
        assert not edits._records

    asyncio.run(cancel())
