"""Helpers for built-ins that make objects with methods, and for those that call outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from palaver.csml.failures import SoftError
from palaver.csml.limits import Limits
from palaver.csml.stdlib.table import Arguments, Builtins, Methods
from palaver.csml.values import Value
from palaver.effects import HostAnswer
from tests.unit.csml import fakes
from tests.unit.csml.fakes import HERE, FakeHost, arguments, plain, value

NOW_MS = FakeHost().now

positional = arguments
named = arguments

__all__ = [
    "NOW_MS",
    "OutwardRun",
    "invoke",
    "make",
    "named",
    "plain",
    "positional",
    "soft_error",
    "value",
]


class OutwardRun(fakes.FakeRun):
    """A turn of a bot whose host gives `answers` in order."""

    def __init__(
        self,
        *answers: HostAnswer,
        limits: Limits | None = None,
        has_apps: bool = False,
        interpolate: Callable[[str], Value] | None = None,
    ) -> None:
        super().__init__(FakeHost(answers=answers), limits)
        self.has_apps = has_apps
        self.interpolate = interpolate or (lambda text: Value(text, HERE))

    @property
    def asked(self) -> Any:
        """The only question put to the host."""
        (question,) = self.host.calls
        return question


def make(table: Builtins, name: str, args: Arguments, run: Any = None) -> Value:
    """A built-in's result as a value. Raises: SoftError."""
    running: Any = run or OutwardRun()
    result = table[name].function(running, args, HERE)
    return result if isinstance(result, Value) else Value(result, HERE)


def invoke(methods: Methods, this: Any, name: str, *args: Any, run: Any = None) -> Value:
    """A method's result as a value; counts are checked as the dispatcher does. Raises: SoftError."""
    method = methods[name]
    if not method.low <= len(args) <= method.high:
        raise SoftError(f"usage: {method.usage}")
    running: Any = run or OutwardRun()
    result = method.function(running, value(this), tuple(map(value, args)), HERE)
    return result if isinstance(result, Value) else Value(result, HERE)


def soft_error(function: Callable[..., object], *args: Any) -> SoftError:
    """The soft error that the call raises."""
    try:
        function(*args)
    except SoftError as error:
        return error
    raise AssertionError("no soft error")
