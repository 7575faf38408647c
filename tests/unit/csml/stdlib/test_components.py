"""The component mechanism and the native components. Spec: csml-language §8."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.limits import Limits
from palaver.csml.stdlib.components import NATIVE, build
from palaver.csml.stdlib.table import Arguments
from palaver.csml.values import SECURE, Items, Members, Meta, Value, content_type_of
from tests.unit.csml.fakes import HERE, FakeRun, arguments, closure, plain, value

CIRCULAR = "GENERIC_COMPONENT_CIRCULAR_DEPENDENCY"
TOO_MANY = "to many arguments"


def native(name: str, *positional: Any, **named: Any) -> Value:
    return build(NATIVE[name], name, arguments(*positional, **named), HERE)


def custom(params: Any, *positional: Any, name: str = "Some", **named: Any) -> Value:
    descriptor = {"params": params}
    return build(descriptor, f"Component.{name}", arguments(*positional, **named), HERE)


def mixed(**by_name: Any) -> Arguments:
    """A named list with positional arguments at any place."""
    return Arguments({name: value(given) for name, given in by_name.items()}, is_named=True)


def wrong(expected: str, got: str) -> str:
    return f"Type Error expecting {expected} type but {got} type was found"


def wrapped(given: Value) -> dict[str, Any]:
    return {"content_type": content_type_of(given), "content": plain(given)}


A_BUTTON = {"title": "a", "payload": "a", "accepts": ["a", "a"]}


@pytest.mark.parametrize(
    ("name", "args", "named", "expected"),
    [
        ("Typing", [1500], {}, {"duration": 1500}),
        ("Wait", [2.5], {}, {"duration": 2.5}),
        ("Wait", [-3], {}, {"duration": -3}),
        ("Wait", [2**63 - 1], {}, {"duration": 2**63 - 1}),
        ("Typing", [1], {"style": "dots"}, {"duration": 1, "style": "dots"}),
        ("Image", ["u"], {}, {"url": "u"}),
        ("Video", ["u"], {}, {"url": "u"}),
        ("Audio", ["u"], {"service": "radio"}, {"url": "u", "service": "radio"}),
        ("File", [["a"]], {}, {"url": ["a", ""]}),
        ("Url", ["u"], {}, {"url": "u", "text": "u", "title": "u"}),
        ("Url", ["u"], {"title": "T"}, {"url": "u", "text": "u", "title": "T"}),
        (
            "Url",
            [["u"]],
            {},
            {"url": ["u", ""], "text": ["u", "", "", ""], "title": ["u", "", "", ""]},
        ),
        ("Button", ["a"], {}, A_BUTTON),
        (
            "Button",
            ["Yes"],
            {"payload": "Y", "accepts": ["ok"]},
            {"title": "Yes", "payload": "Y", "accepts": ["ok", "Yes", "Y"]},
        ),
        (
            "Button",
            ["Yes"],
            {"accepts": "ok"},
            {"title": "Yes", "payload": "Yes", "accepts": ["Yes", "Yes", "ok"]},
        ),
        ("Button", ["Yes", "Y"], {}, {"title": "Yes", "payload": "Y", "accepts": ["Yes", "Y"]}),
        (
            "Button",
            [["a"]],
            {},
            {
                "title": ["a", ""],
                "payload": ["a", "", "", ""],
                "accepts": ["a", "", "a", "", "", ""],
            },
        ),
        ("Button", ["a"], {"button_type": "quick"}, {**A_BUTTON, "button_type": "quick"}),
        ("Question", ["q"], {"buttons": "abc"}, {"title": "q", "buttons": ["abc"]}),
        ("Question", ["q", ["x", 1]], {}, {"title": "q", "buttons": ["x", 1]}),
        ("Question", [], {"buttons": []}, {"buttons": []}),
        (
            "Card",
            ["C"],
            {"image_url": "i", "subtitle": "s"},
            {"title": "C", "image_url": "i", "subtitle": "s"},
        ),
        ("Card", ["C", "b"], {}, {"title": "C", "buttons": ["b"]}),
        ("Carousel", ["one"], {}, {"cards": ["one"]}),
        ("Carousel", [[]], {}, {"cards": []}),
    ],
)
def test_native_components(name: str, args: Any, named: Any, expected: Any) -> None:
    built = native(name, *args, **named)
    assert plain(built) == expected
    assert list(plain(built)) == list(expected)
    assert content_type_of(built) == name.lower()
    assert built.position == HERE


@pytest.mark.parametrize(
    ("name", "args", "named", "text"),
    [
        ("Image", [], {}, "url is a required parameter"),
        ("Image", [], {"src": "a"}, "url is a required parameter"),
        ("Video", [12], {}, wrong("String", "Number")),
        ("Audio", [None], {}, wrong("String", "Null")),
        ("Image", [{"url": "x"}], {}, wrong("String", "Object")),
        ("Image", [True], {}, wrong("String", "Bool")),
        ("File", ["a", "b"], {}, TOO_MANY),
        ("Text", [], {}, "text is a required parameter"),
        ("Text", [1], {}, wrong("String", "Number")),
        ("Text", ["a", "b"], {}, TOO_MANY),
        ("Typing", ["1000"], {}, wrong("Number", "String")),
        ("Wait", [None], {}, wrong("Number", "Null")),
        ("Wait", [float("nan")], {}, wrong("Number", "Null")),
        ("Wait", [float("inf")], {}, wrong("Number", "Null")),
        ("Wait", [1, 2], {}, TOO_MANY),
        ("Button", [], {"payload": "p"}, "title is a required parameter"),
        ("Button", ["t", 4], {}, wrong("String", "Number")),
        ("Button", ["t"], {"payload": None}, wrong("String", "Null")),
        ("Button", ["t"], {"accepts": 4}, wrong("Array", "Number")),
        ("Button", ["t"], {"accepts": {"a": 1}}, wrong("Array", "Object")),
        ("Button", ["a", "b", ["c"], "d"], {}, TOO_MANY),
        ("Question", ["Q?"], {}, "buttons is a required parameter"),
        ("Question", [1], {"buttons": []}, wrong("String", "Number")),
        ("Card", ["C"], {"buttons": 3}, wrong("Array", "Number")),
        ("Carousel", [], {}, "cards is a required parameter"),
    ],
)
def test_native_errors(name: str, args: Any, named: Any, text: str) -> None:
    with pytest.raises(SoftError) as caught:
        native(name, *args, **named)
    assert (caught.value.text, caught.value.at) == (text, None)


@pytest.mark.parametrize(
    ("args", "named", "expected"),
    [
        (["hi"], {}, "hi"),
        ([], {"text": "named", "color": "red"}, "named"),
        ([["a"]], {}, ["a", ""]),
    ],
)
def test_text_is_just_its_text(args: Any, named: Any, expected: Any) -> None:
    built = native("Text", *args, **named)
    assert plain(built) == expected
    assert content_type_of(built) == "text"


def test_of_a_named_list_only_the_first_parameter_may_be_positional() -> None:
    built = build(NATIVE["Button"], "Button", mixed(arg0="t", arg1="p", accepts=["q"]), HERE)
    expected = {"title": "t", "payload": "t", "accepts": ["q", "t", "t"], "arg1": "p"}
    assert plain(built) == expected
    with pytest.raises(SoftError, match="title is a required parameter"):
        build(NATIVE["Button"], "Button", mixed(accepts=["q"], arg1="t"), HERE)


# --- components inside -------------------------------------------------------------------------


def test_components_in_arguments_become_plain_objects() -> None:
    inner = native("Button", "a")
    question = native("Question", "q", buttons=[inner, {"deep": [inner]}])
    buttons = question.data["buttons"]  # type: ignore[index]
    assert plain(buttons) == [wrapped(inner), {"deep": [wrapped(inner)]}]
    first = buttons.data[0]  # type: ignore[index]
    assert content_type_of(first) == "object"
    assert content_type_of(first.data["content"]) == "object"


def test_a_component_as_the_argument_itself_is_not_wrapped() -> None:
    with pytest.raises(SoftError, match=wrong("Array", "Object")):
        native("Question", "q", buttons=native("Button", "a"))
    params = [{"o": {"type": "Object"}}]
    assert plain(custom(params, native("Wait", 1))) == {"o": {"duration": 1}}


def test_further_named_arguments_stay_as_they_are() -> None:
    inner = native("Button", "b")
    card = native("Card", "c", extra=inner)
    extra = card.data["extra"]  # type: ignore[index]
    assert extra is inner
    assert content_type_of(extra) == "button"


def test_arguments_that_are_plain_already_are_not_copied() -> None:
    accepted = value(["x", [1]])
    question = native("Question", "q", accepted)
    assert question.data["buttons"].data is accepted.data  # type: ignore[index]
    assert accepted.data.shared  # type: ignore[union-attr]


def test_containers_that_share_their_members_do_not_explode() -> None:
    nested = native("Button", "a")
    for _ in range(60):
        nested = value([nested, nested])
    run = FakeRun()
    build(NATIVE["Question"], "Question", arguments("q", nested), HERE, run)  # type: ignore[arg-type]
    assert run.spent < 1000


def test_a_closure_is_an_object() -> None:
    params = [{"o": {"type": "Object"}}]
    assert plain(custom(params, closure(lambda scope: value(1)))) == {"o": {"_closure": "() {}"}}


# --- custom components -------------------------------------------------------------------------

BADGE = [
    {"label": {"type": "String", "required": True}},
    {"size": {"type": "Number", "default_value": [{"$_set": 12}]}},
]
LINK = [
    {"url": {"type": "String", "required": True, "add_value": [{"$_set": "?x=1"}]}},
    {
        "text": {
            "type": "String",
            "default_value": [{"$_get": "url"}],
            "add_value": [{"$_set": "!"}],
        }
    },
    {
        "title": {
            "type": "String",
            "default_value": [{"$_set": "<"}, {"$_get": "text"}, {"$_set": ">"}],
        }
    },
    {
        "all": {
            "type": "Array",
            "default_value": [],
            "add_value": [{"$_get": "url"}, {"$_get": "title"}],
        }
    },
]
LATER = [
    {"a": {"type": "String", "default_value": [{"$_get": "b"}]}},
    {"b": {"type": "String", "default_value": [{"$_set": "B"}]}},
]
CIRCLE = [
    {"a": {"type": "String", "default_value": [{"$_get": "b"}]}},
    {"b": {"type": "String", "default_value": [{"$_get": "a"}]}},
]
TWICE = [
    {
        "a": {
            "type": "String",
            "default_value": [{"$_get": "b"}, {"$_set": "-"}, {"$_get": "b"}],
        }
    },
    {"b": {"type": "String"}},
]
EVERY_TYPE = [
    {"s": {"type": "String", "default_value": [{"$_set": "a"}, {"$_set": "b"}]}},
    {"n": {"type": "Number", "default_value": [{"$_set": 1}, {"$_set": 2.5}]}},
    {"i": {"type": "Number", "default_value": [{"$_set": 4}], "add_value": [{"$_set": 5}]}},
    {"b": {"type": "Bool", "default_value": [{"$_set": False}, {"$_set": True}]}},
    {
        "l": {
            "type": "Array",
            "default_value": [{"$_set": [1]}, {"$_set": "x"}, {"$_set": [[2]]}],
        }
    },
    {
        "o": {
            "type": "Object",
            "default_value": [{"$_set": {"a": 1, "b": 1}}, {"$_set": {"b": 2}}],
        }
    },
    {"z": {"type": "Null", "default_value": [{"$_set": None}]}},
    {"skipped": {"type": "String"}},
    {"nothing": {"type": "String", "default_value": []}},
    {"both": {"type": "String", "default_value": [], "add_value": []}},
    {"added": {"type": "String", "add_value": [{"$_set": "plus"}]}},
]
DEFAULTS = {
    "s": "ab",
    "n": 3.5,
    "i": 9,
    "b": True,
    "l": [1, "x", [2]],
    "o": {"a": 1, "b": 2},
    "z": None,
}


@pytest.mark.parametrize(
    ("params", "args", "named", "expected"),
    [
        (BADGE, ["a"], {}, {"label": "a", "size": 12}),
        (BADGE, ["a", 3], {}, {"label": "a", "size": 3}),
        (
            BADGE,
            [],
            {"label": "b", "size": 1.5, "color": "red"},
            {"label": "b", "size": 1.5, "color": "red"},
        ),
        ([], [], {"a": 1}, {"a": 1}),
        (
            LINK,
            ["u"],
            {},
            {
                "url": "u?x=1",
                "text": "u?x=1!",
                "title": "<u?x=1!>",
                "all": ["u?x=1", "<u?x=1!>"],
            },
        ),
        (
            LINK,
            ["u"],
            {"title": "T", "all": ["first"]},
            {"url": "u?x=1", "text": "u?x=1!", "title": "T", "all": ["first", "u?x=1", "T"]},
        ),
        (LATER, [], {}, {"a": "B", "b": "B"}),
        (LATER, [], {"b": "given"}, {"a": "given", "b": "given"}),
        (LATER, [], {"a": "given"}, {"a": "given", "b": "B"}),
        (CIRCLE, [], {"a": "v"}, {"a": "v", "b": "v"}),
        (TWICE, [], {"b": "B"}, {"a": "B-B", "b": "B"}),
        (TWICE, [], {}, {"a": "-"}),
        (
            [{"a": {"type": "String", "default_value": [{"$_get": "no"}, {"$_set": "x"}]}}],
            [],
            {},
            {"a": "x"},
        ),
        (EVERY_TYPE, [], {}, {**DEFAULTS, "added": "plus"}),
        (
            EVERY_TYPE,
            ["S", 10, 10, True, ["L"], {"b": 3}, None],
            {},
            {
                "s": "S",
                "n": 10,
                "i": 15,
                "b": True,
                "l": ["L"],
                "o": {"b": 3},
                "z": None,
                "added": "plus",
            },
        ),
        (
            EVERY_TYPE,
            [],
            {"added": "one ", "skipped": "given", "both": "given"},
            {**DEFAULTS, "skipped": "given", "both": "given", "added": "one plus"},
        ),
        ([{"a": {"required": False}}], [], {}, {}),
        ([{"n": {"type": "Number", "default_value": [{"$_set": 2**63 - 1}]}}], [5], {}, {"n": 5}),
        # what is no parameter or no action is skipped
        (
            [7, {}, {"b": {"type": "String"}}],
            [1, 2, "x"],
            {"b": "x"},
            {"b": "x", "arg1": 2, "arg2": "x"},
        ),
        ([{"a": {"type": "String", "default_value": [5, {"$_no": 1}, {"$_get": 3}]}}], [], {}, {}),
        ([{"a": {"type": "String", "default_value": "x", "required": "yes"}}], [], {}, {}),
        ([{"a": "String"}], [], {}, {}),
    ],
)
def test_custom_components(params: Any, args: Any, named: Any, expected: Any) -> None:
    built = custom(params, *args, **named)
    assert plain(built) == expected
    assert content_type_of(built) == "Component.some"


@pytest.mark.parametrize(
    ("params", "args", "named", "text"),
    [
        (BADGE, ["a", 1, 2], {}, TOO_MANY),
        ([], [1], {}, TOO_MANY),
        (CIRCLE, [], {}, CIRCULAR),
        ([{"a": {"type": "String", "default_value": [{"$_get": "a"}]}}], [], {}, CIRCULAR),
        ([{"a": {"default_value": [{"$_set": "x"}]}}], [], {}, "type value must exist on all keys"),
        ([{"a": {}}], ["v"], {}, "type value must exist on all keys"),
        ([{"a": {"type": 3}}], ["v"], {}, "type value must exist on all keys"),
        ([{"a": {"type": "Text"}}], ["v"], {}, "type 'Text' is unknown"),
        (
            [{"b": {"type": "String"}, "a": {"type": "String"}}],
            [],
            {},
            "invalid generic component Some, multiple keys are no allowed "
            'for single argument ["a", "b"]',
        ),
        (
            [{"a": {"type": "Number", "default_value": [{"$_set": "x"}]}}],
            [],
            {},
            wrong("String", "Number"),
        ),
        (
            [{"a": {"type": "Number", "default_value": [{"$_set": 2**63 - 1}, {"$_set": 1}]}}],
            [],
            {},
            "Illegal operation: overflow",
        ),
        (
            [{"a": {"type": "Number", "add_value": [{"$_set": 1e308}]}}],
            [1.7e308],
            {},
            "Illegal operation: overflow",
        ),
        (
            [{"a": {"type": "Number", "default_value": [{"$_set": 2**63}]}}],
            [],
            {},
            "Number is larger than a 64-bit integer",
        ),
    ],
)
def test_custom_errors(params: Any, args: Any, named: Any, text: str) -> None:
    with pytest.raises(SoftError) as caught:
        custom(params, *args, **named)
    assert caught.value.text == text


TYPES = ["Null", "Bool", "Number", "String", "Array", "Object"]
SAMPLES: dict[str, Any] = {
    "Null": None,
    "Bool": True,
    "Number": 1,
    "String": "x",
    "Array": ["x"],
    "Object": {"x": 1},
}
BY_APPENDING = {("Array", "String"): ["x"], ("String", "Array"): ["x", ""]}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("given", TYPES)
def test_argument_types_pair_by_pair(kind: str, given: str) -> None:
    params = [{"p": {"type": kind}}]
    if kind == given or (kind, given) in BY_APPENDING:
        expected = BY_APPENDING.get((kind, given), SAMPLES[given])
        assert plain(custom(params, SAMPLES[given])) == {"p": expected}
    else:
        with pytest.raises(SoftError, match=wrong(kind, given)):
            custom(params, SAMPLES[given])


@pytest.mark.parametrize("descriptor", [{}, {"params": "no"}, [], None, "text"])
def test_without_parameters_everything_is_ignored(descriptor: Any) -> None:
    built = build(descriptor, "Component.Empty", arguments(1, 2), HERE)
    assert plain(built) == {}
    assert content_type_of(built) == "Component.empty"


def test_a_custom_component_named_text_is_its_text() -> None:
    params = [{"text": {"type": "String", "required": True}}, {"tone": {"type": "String"}}]
    built = custom(params, "hi", name="TEXT")
    assert plain(built) == "hi"
    assert content_type_of(built) == "text"


@pytest.mark.parametrize("descriptor", [{}, {"params": [{"tone": {"type": "String"}}]}])
def test_a_component_named_text_needs_a_text(descriptor: Any) -> None:
    with pytest.raises(SoftError, match="text is a required parameter"):
        build(descriptor, "Component.text", arguments(), HERE)


def test_defaults_are_never_changed_by_what_was_built() -> None:
    descriptor: Any = {"params": [{"l": {"type": "Array", "default_value": [{"$_set": [1]}]}}]}
    for _ in range(2):
        built = build(descriptor, "Component.L", arguments(), HERE)
        members = built.data
        assert isinstance(members, Members)
        assert plain(members["l"]) == [1]
        assert members["l"].data.shared  # type: ignore[union-attr]
    assert descriptor == {"params": [{"l": {"type": "Array", "default_value": [{"$_set": [1]}]}}]}


def test_one_descriptor_under_two_names() -> None:
    descriptor: Any = {"params": [{"text": {"type": "String"}}]}
    assert plain(build(descriptor, "Component.Text", arguments("x"), HERE)) == "x"
    assert plain(build(descriptor, "Component.Other", arguments("x"), HERE)) == {"text": "x"}


# --- secrets and limits ------------------------------------------------------------------------

SECRET = Value("1234", HERE, SECURE)


@pytest.mark.parametrize(
    ("name", "args", "named"),
    [
        ("Text", [SECRET], {}),
        ("Button", [SECRET], {}),
        ("Button", ["a"], {"extra": SECRET}),
        ("Button", ["a"], {"extra": [SECRET]}),
        ("Question", ["q", [{"deep": [SECRET]}]], {}),
    ],
)
def test_what_is_made_from_a_secret_is_secure(name: str, args: Any, named: Any) -> None:
    built = native(name, *args, **named)
    assert built.is_secure
    assert content_type_of(built) == name.lower()


def test_parts_of_a_secret_component_are_secure() -> None:
    members = native("Button", SECRET).data
    assert isinstance(members, Members)
    assert all(member.is_secure for member in members.values())
    accepts = members["accepts"].data
    assert isinstance(accepts, Items)
    assert all(item.is_secure for item in accepts)


def test_other_components_are_not_secure() -> None:
    native("Button", SECRET)
    built = native("Button", "1234")
    assert not built.is_secure
    assert built.meta == Meta("button")


def test_facts_about_the_origin_are_left_behind() -> None:
    origin = Value("x", HERE, Meta(info=Members({"status": value(200)})))
    members = native("Carousel", [origin]).data
    assert isinstance(members, Members)
    assert members["cards"].data[0].info is None  # type: ignore[index]


def test_texts_that_grow_too_large_are_refused() -> None:
    descriptor: Any = {"params": [{"s": {"type": "String", "add_value": [{"$_set": "x" * 60}]}}]}
    run: Any = FakeRun(limits=Limits(value_bytes=100))
    with pytest.raises(BudgetExceeded):
        build(descriptor, "Component.S", arguments("y" * 60), HERE, run)


def test_long_arguments_are_paid_for() -> None:
    run: Any = FakeRun()
    build(NATIVE["Question"], "Question", arguments("q", [1] * 500), HERE, run)
    assert run.spent >= 500


def test_a_flawed_descriptor_fails_again_and_again() -> None:
    descriptor: Any = {"params": [{"a": {}, "b": {}}]}
    for _ in range(2):
        with pytest.raises(SoftError, match="multiple keys"):
            build(descriptor, "Component.Flawed", arguments(), HERE)


def test_many_actions_are_paid_for() -> None:
    actions: Any = [{"$_set": "x" * 2000}] * 2000
    descriptor: Any = {"params": [{"s": {"type": "String", "default_value": actions}}]}
    run: Any = FakeRun(limits=Limits(instructions=100_000))
    with pytest.raises(BudgetExceeded):
        build(descriptor, "Component.Long", arguments(), HERE, run)
