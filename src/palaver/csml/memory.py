"""The client's long-term memories during one turn.

They arrive as stored JSON text and are decoded when a program first looks at them, so a client
with a thousand memories costs a turn only those it reads. What changed is known at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from palaver.csml.bounds import Pay, check_kept, free
from palaver.csml.limits import Limits
from palaver.csml.texts import RestoreClosure, from_memory, to_memory
from palaver.csml.values import Value
from palaver.effects import Forget, Remember


class Memories:
    """Name → value, with a record of what changed.

    Args:
        stored: name → stored JSON text; not changed.
        closure: makes a closure from its stored source and place.
    """

    __slots__ = (
        "_changed",
        "_closure",
        "_forgets_all",
        "_forgotten",
        "_gone",
        "_stored",
        "_values",
    )

    def __init__(self, stored: Mapping[str, str], closure: RestoreClosure) -> None:
        self._stored = stored
        self._closure = closure
        self._values: dict[str, Value] = {}
        self._changed: dict[str, None] = {}
        self._forgotten: dict[str, None] = {}
        self._gone: set[str] = set()
        self._forgets_all = False

    def get(self, name: str) -> Value | None:
        """The memory's value, or None."""
        value = self._values.get(name)
        if value is not None or not self._stored:
            return value
        if self._forgets_all or name in self._gone or name not in self._stored:
            return None
        value = from_memory(msgspec.json.decode(self._stored[name]), self._closure)
        self._values[name] = value
        return value

    def __contains__(self, name: str) -> bool:
        return name in self._values or (
            not self._forgets_all and name not in self._gone and name in self._stored
        )

    def __iter__(self) -> Iterator[str]:
        """All names: stored ones first."""
        stored = () if self._forgets_all else self._stored
        yield from (name for name in stored if name not in self._gone)
        yield from (
            name
            for name in self._values
            if self._forgets_all or name not in self._stored or name in self._gone
        )

    def set(self, name: str, value: Value) -> None:
        """Remembers; visible at once, stored at the end of the turn."""
        self._values[name] = value
        self._changed[name] = None

    def holder(self, name: str) -> dict[str, Value]:
        """What a memory that there is is kept in, for those who change its value in place."""
        self.get(name)
        return self._values

    def touch(self, name: str) -> None:
        """The value was changed in place."""
        self._changed[name] = None

    def forget(self, names: Iterable[str] | None) -> None:
        """Forgets the names, or everything (None)."""
        if names is None:
            self._values.clear()
            self._changed.clear()
            self._forgets_all = True
            return
        for name in names:
            self._values.pop(name, None)
            self._changed.pop(name, None)
            self._forgotten[name] = None
            self._gone.add(name)

    def forget_later(self, names: tuple[str, ...] | None) -> None:
        """Forgets in the store only: what a function forgets, its caller still sees (§6.4)."""
        for name in (*self._stored, *self._values) if names is None else names:
            self._forgotten[name] = None
            self._changed.pop(name, None)

    def changes(self, limits: Limits, pay: Pay = free) -> Iterator[Forget | Remember]:
        """What the turn changed: forgotten ones first, then the last value of each changed one."""
        if self._forgets_all:
            yield Forget(None)
        forgotten = tuple(name for name in self._forgotten if name not in self._changed)
        if forgotten:
            yield Forget(forgotten)
        changed = {name: self._values[name] for name in self._changed}
        check_kept("memory", changed, limits.value_bytes, limits.nesting, pay)
        for name, value in changed.items():
            yield Remember(name, to_memory(value, pay))
