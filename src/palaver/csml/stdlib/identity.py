"""`UUID` and `Random`: chance as the host gives it. Spec: csml-language §9."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.table import Arguments, Builtins, Result

if TYPE_CHECKING:
    from palaver.csml.state import Run

IDENTITY_BUILTINS = Builtins()

UUID_USAGE: Final = (
    'UUID builtin expects one optional argument of type String. Example: UUID("v4") or UUID("v1")'
)
NOT_A_TEXT: Final = "Floor builtin expects one argument of type float. Example: Floor(4.2)"
"""Sic: the reference answers with the text of `Floor`."""

UUID_VERSIONS: Final = {"v1": 1, "v4": 4}


@IDENTITY_BUILTINS.add("UUID", (0, 1))
def make_uuid(run: Run, args: Arguments, at: Position) -> Result:
    wanted = args.get("value", 0)
    if wanted is None and len(args) == 0:
        return run.host.uuid(4)
    if wanted is None:
        raise SoftError(UUID_USAGE)
    if not isinstance(wanted.data, str):
        raise SoftError(NOT_A_TEXT)
    version = UUID_VERSIONS.get(wanted.data)
    if version is None:
        raise SoftError(UUID_USAGE)
    return run.host.uuid(version)


@IDENTITY_BUILTINS.add("Random", (0, 0))
def random_number(run: Run, args: Arguments, at: Position) -> Result:
    return run.host.random()
