"""Component descriptors, compiled. Spec: csml-language §8.1.

In goes plain JSON, `{"params": [{name: rule}, …]}`, of which nothing is taken for granted: what
is no parameter or no action is skipped, and a rule without a usable type is an error only where
it is used. Out comes a `Plan`, kept for the next time.
"""

from __future__ import annotations

from json.encoder import encode_basestring
from typing import Final, NamedTuple

from palaver.csml.failures import SoftError
from palaver.csml.source import NOWHERE
from palaver.csml.texts import data_from_json
from palaver.csml.values import Data, Items, Members, Meta, Value, share
from palaver.types import Json

PREFIX: Final = "Component."
"""What stands before the name of a component of the bot's own."""


class Action(NamedTuple):
    """`{"$_get": parameter}`, or else `{"$_set": data}`."""

    get: str | None
    data: Data


class Parameter(NamedTuple):
    """One parameter. `flaw` is the error of a rule whose type is missing or unknown."""

    name: str
    positional: str
    empty: Data
    is_required: bool
    defaults: tuple[Action, ...]
    additions: tuple[Action, ...]
    flaw: str


class Plan(NamedTuple):
    """A compiled descriptor under a name.

    Args:
        parameters: None where it has none at all.
        weight: how many parameters and actions there are, what building one costs at least.
        flaw: the error of every attempt to build one, or empty.
    """

    parameters: tuple[Parameter, ...] | None
    by_name: dict[str, Parameter]
    weight: int
    is_text: bool
    meta: Meta
    flaw: str
    descriptor: Json


_EMPTY: Final[dict[str, Data]] = {
    "Null": None,
    "Bool": False,
    "Number": 0,
    "String": "",
    "Array": Items(),
    "Object": Members(),
}
for _container in ("Array", "Object"):
    share(Value(_EMPTY[_container]))

_PLANS: Final[dict[tuple[int, str], Plan]] = {}
_MAX_PLANS: Final = 512
"""Compiled descriptors kept; when there are more, all are compiled anew."""


def plan_of(descriptor: Json, name: str) -> Plan:
    """The compiled descriptor. It is known by its identity, which the plan keeps alive."""
    key = (id(descriptor), name)
    plan = _PLANS.get(key)
    if plan is None:
        if len(_PLANS) >= _MAX_PLANS:
            _PLANS.clear()
        plan = _PLANS[key] = _compile(descriptor, name)
    return plan


def _compile(descriptor: Json, name: str) -> Plan:
    bare = name.removeprefix(PREFIX)
    content_type = name[: len(name) - len(bare)] + bare.lower()
    is_text = bare.lower() == "text"
    params = descriptor.get("params") if isinstance(descriptor, dict) else None
    parameters: tuple[Parameter, ...] | None = None
    flaw = ""
    if isinstance(params, list):
        try:
            parameters = tuple(
                _parameter(entry, index, bare)
                for index, entry in enumerate(params)
                if isinstance(entry, dict) and entry
            )
        except SoftError as error:
            flaw = error.text
    return Plan(
        parameters,
        {parameter.name: parameter for parameter in parameters or ()},
        sum(1 + len(p.defaults) + len(p.additions) for p in parameters or ()),
        is_text,
        Meta("text" if is_text else content_type),
        flaw,
        descriptor,
    )


def _parameter(entry: dict[str, Json], index: int, component: str) -> Parameter:
    if len(entry) > 1:
        keys = ", ".join(encode_basestring(key) for key in sorted(entry))
        raise SoftError(
            f"invalid generic component {component}, "
            f"multiple keys are no allowed for single argument [{keys}]"
        )
    ((name, given),) = entry.items()
    rule = given if isinstance(given, dict) else {}
    kind = rule.get("type")
    flaw = ""
    if not isinstance(kind, str):
        flaw = "type value must exist on all keys"
    elif kind not in _EMPTY:
        flaw = f"type '{kind}' is unknown"
    return Parameter(
        name,
        f"arg{index}",
        None if flaw else _EMPTY[str(kind)],
        rule.get("required") is True,
        _actions(rule.get("default_value")),
        _actions(rule.get("add_value")),
        flaw,
    )


def _actions(given: Json) -> tuple[Action, ...]:
    """The actions of a list; what is none is skipped."""
    actions = []
    for entry in given if isinstance(given, list) else ():
        for verb, operand in entry.items() if isinstance(entry, dict) else ():
            if verb == "$_set":
                data = data_from_json(operand, NOWHERE)
                actions.append(Action(None, share(Value(data)).data))
            elif verb == "$_get" and isinstance(operand, str):
                actions.append(Action(operand, None))
    return tuple(actions)
