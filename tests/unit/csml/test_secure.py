"""What a person answers to a `hold_secure` never leaves. Spec: csml-language §6.10, product §5.

Every route by which an author could show, keep or name the answer, one a line, each run behind a
`hold_secure`; then nothing of the turn's effects may contain it, as it is or encoded.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from palaver.effects import CallFailed, Fail, Hold, HttpAnswer, HttpRequest, Say
from tests.unit.csml.fakes import FakeHost
from tests.unit.csml.talking import Talk, without_places

SECRET = "s3cr3t-Zq"
FORMS = (
    "s3cr3t",
    "cr3t",
    SECRET.encode().hex(),
    base64.b64encode(SECRET.encode()).decode().rstrip("="),
)

NOT_SHOWN = "! Secure variable can not be displayed"
NOT_ASSIGNED = "! Assignation of secure variable is not allowed"

NOTE = {"params": [{"text": {"type": "String", "required": True}}]}

ROUTES = r"""
say event
say event.text
say event["text"]
say event.text[0] say event[0]
debug event
debug event.text
log event
log event.text
say "{{event}}"
say "x{{event.text}}"
say [event]
say {"a": event.text}
say {"a": {"b": [event]}}
say event + "x"
say "x" + event
do x = event say x
do x = [event] say x hold
do x = [] do x.push(event) say x say x[0] hold
do x = [1] do x.insert_at(0, event.text) say x say x[0] hold
do x = [1] do x[0] = event say x
do o = {"k": 1} do o.k = event.text say o
do o = {} do o.insert("k", event.text) say o say o.k say o.values() hold
do o = {} do o.insert(event, 1) say o say o.keys() hold
do o = {} do o[event] = 1 say o say o.keys() hold
do o = {"k": 1} say o[event]
do o = {"k": 1} say o[event.text].x
do o = {"k": 1} say o[event.to_uppercase()]
do o = {"k": 1} do o.x[event].y = 1
do o = {"k": 1} do o[event].y = 1
do o = {"k": 1} do o.remove(event)
do o = Object(a = event) say o
say Object(a = event).a
say event as x say x say "{{x}}" hold
use event as x say x say [x] log x debug x hold
do y = (event as x) say _memory say _memory.x hold
use event as x do f = () { return x } say f() say f hold say f()
use event as x remember f = () { return x } say f() goto b
use event as x remember f = () { return _memory } say f() hold
remember x = event
remember x = [event]
remember x = [1] do x.push(event) say x hold
remember x = {"a": 1} do x.a = event.text hold
remember x = {"a": 1} do x.insert("b", event) hold
remember x = {"a": 1} do x.insert(event, 5) hold
foreach (c) in event { say c }
foreach (c) in event.text { say c debug c log c }
foreach (c) in event.split("") { say c }
say event.split("-")
say event.split("-")[0]
say event.split("-").join("+")
say event.to_uppercase() say event.text.to_uppercase()
say event.to_lowercase().capitalize()
say event.trim().slice(0, 4)
say Base64(event).encode()
say Base64(event)
say Hex(event.text).encode()
say event.encode_uri()
say event.encode_html_entities()
say event.to_string()
say event.get_content()
say event.get_content().text
say event.get_content().to_string()
say event.values()
say event.to_json()
say [event].to_string()
say [event].join("")
say ["a", event].reverse()
say [event].map((x) { return x })
say [event].map((x) { return "{{x}}!" })
say [event].filter((x) { return true })
do m = [1].map((x) { return event }) say m hold
do m = [[1]].map((x) { do x.push(event) return x }) say m hold
do l = [[1]] do l[0].push(event) foreach (x) in l { say x } do m = l.map((x) { say x return x }) hold
do l = {"a": {"b": []}} do l.a.b.push(event) use l.a as m say m say l.values() say m.to_string() hold
say [event].reduce("", (a, x) { return a + x })
say [event].reduce("", (a, x) { return "{{a}}{{x}}" })
say [[event]].flatten()
say [event].slice(0) say [event].append([1]) say [1].append([event])
say [event].find(event) say [event, 2].one_of() say [event].shuffle()
say OneOf([event]) say Shuffle([event, 1])
say Or(nope, event) say Or(event, 1)
say Debug(event) say Debug([event.text]).args
say Button(event) say Text(event) say Question(event, [Button(event.text)])
say Typing(event)
say Url(event) say Image(event) say Card(event.text, buttons = [Button("x")])
say JWT({"a": event}).encode("HS256", "k")
say JWT({"a": event})
say JWT(event).decode("HS256", "k")
say JWT("abc").decode(event, "k")
say Crypto(event)
say Crypto("x").create_hash(event)
say Crypto("x").create_hmac(event, "k")
say Time().parse(event)
say Time().parse("x", event)
say Time().format(event)
say Time().at(event)
say event.match_regex("s.*")
say "aaa".match_regex(event) say "aaa".replace_regex(event, "x") say "a".contains_regex("[{{event}}")
say "aaa".replace("a", event) say "aaa".replace_all("a", event)
say event.append("x") say "x".append(event)
say event.from_json() say event.from_yaml() say event.from_xml()
say "{}".from_json()[event]
say [event].to_yaml() say {"a": event}.to_yaml() say {"a": event}.to_xml()
say UUID(event)
say Length(event) > 3
say Floor(event)
say Find(event, in = event.text)
say Exists(event)
say HTTP(event).get().send()
say HTTP("http://x/{{event}}").get().send()
say HTTP("http://x/").post({"p": event}).send()
say HTTP("http://x/").query({"p": event})
say HTTP("http://x/").set({"p": event})
say App(event)
say App("a", p = event)
say SMTP(event) say SMTP("x").auth("a", event) say SMTP("x").from(event)
say event.nothing()
say event.nothing
say event - 1
say event * event
say "5" * event
do x = "a" do x += event say x
do x = "abc" do x[1] = event say x
do x = "abc" do x[1] = event.text hold
goto $event
goto flow $event
goto $event.text
goto a@f in $event
goto $event in other
goto $event@$event in other
if (event == "x") say 1 else say event
while (event) { say event break }
say (x) { return event }.map(event)
say Component.note(text = event)
say Component.Note(text = event)
say f(event)
say g(event.text)
do nope.push(event)
do event.text.push(event)
do x = 1 do x.k = event
say [1, 2][event]
do a = [1] say a[event]
do a = [1] do a[event] = 2
say {"a": 1}.remove(event)
say [event] == [event] say event == event
say event match [event] say [event] match event
say event.match(event) say event.match([event]) say event.match("x") say event.match_array([event])
say event.match(Button("s3cr3t-Zq")).payload
say event.is_email() say event.is_number() say event.get_type() say event.is_secure()
say event.get_info()
say _metadata[event]
say _env[event]
say _memory[event]
remember z = 1 say _memory.to_string()
say event.type_of() say event.is_error()
say event.text.to_array() say event.to_object()
return event
use event as x say Or(nope[x], 1)
use event as x say x.y.z
use event as x goto $x
do t = Time() do t.add_time(event)
say nothing(event)
say {"a": event}.a say {"a": event}["a"] say {"a": {"b": event}}.a.b say [[event]][0][0]
say {"a": event}.keys() say {"a": event}.values() say {"a": event}.length()
say {"a": event}.assign({"b": event})
do o = {"k": 1} do o.assign({"b": event}) say o say o.b hold
say "{{ {\"a\": event} }}"
say event.more.deep say event.more say event.more.list[0] say event.more.list
say [event.more]
say event.more.to_string()
say event.more.keys()
say event.more["nope{{event}}"]
forget x use event as x say _memory.x
say "%s".to_string() say "a{{event}}b".split("a")
say event.parse_url()
say ("{{event}}" as y) say y hold
say Base64(event).decode() say Hex(event).decode()
say HTTP("http://x/").set({"a": "{{event}}\n"}).get().send()
say HTTP("http://x/").set({"a": event}).auth(event, "x").get().send()
say Time().with_timezone(event) say Time(event).format(event)
say SMTP("x").auth(event, event).send({"from": event, "to": event, "text": event})
say JWT("x").verify({"a": 1}, event, "k") say JWT({"a": 1}).encode(event, "k")
do a = [1] do a[event].b = 2 do a[0][event] = 3
say [1].insert_at(event, 1) say [1].remove_at(event) say "abc".slice(event)
do o = {} do o["{{event}}"] = 2 do o.k[event] = 2 say o hold
remember o = {} do o[event] = 2 do o[event] += 2 hold
const K = {"a": 1}
say Component.Nope(event)
goto step $event
goto $event@other
goto x@$event
goto b@$event.text
use [event] as l foreach (x, i) in l { say x log x } say l hold
use [event] as l say l.map((x) { say x return x })
use {"k": event} as l say l.k say l["k"] say l.keys() say l.values()[0] hold
use event as x if (x == "s3cr3t-Zq") { hold say x }
use event as x remember y = x.length() + 0 hold
say HTTP("http://x/").set({"a": "{{event}}\n"}).get().send()
""".strip().splitlines()


def secret_talk(route: str, **options: Any) -> Talk:
    """A conversation that waits for a secret and then takes the route."""
    talk = Talk(
        "fn f(x) { return x }\n"
        'fn g(x) { say x debug x log x return [x, "{{x}}"] }\n'
        f"start: hold_secure {route}\n"
        "b: hold say 1",
        components={"Note": NOTE},
        has_apps=True,
        env={"a": 1},
        **options,
    )
    talk()
    return talk


def tell(talk: Talk) -> list[Any]:
    more = {"deep": SECRET, "list": [SECRET], SECRET: 1}
    return without_places(talk(SECRET, content={"text": SECRET, "more": more}))


@pytest.mark.parametrize("route", ROUTES)
def test_no_effect_contains_the_secret(route: str) -> None:
    host = FakeHost(answers=[CallFailed(f"https://x/{SECRET}: Connection Failed")] * 3)
    talk = secret_talk(route, host=host)
    tell(talk)
    shown = repr(talk.effects).lower()
    assert not [form for form in FORMS if form.lower() in shown]
    tell_again = without_places(talk("plain"))
    assert SECRET not in repr(tell_again)


# --- what is said instead ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression", ["event", "event.text", '"a{{event}}"', "[event]", '{"k": event}']
)
def test_a_secret_is_not_shown_and_not_kept(expression: str) -> None:
    assert tell(secret_talk(f"say {expression} say 1")) == [NOT_SHOWN, "1"]
    assert tell(secret_talk(f"debug {expression} say 1")) == [NOT_SHOWN, "1"]
    assert tell(secret_talk(f"do x = {expression} say 1")) == [NOT_ASSIGNED, "1"]
    assert tell(secret_talk(f"remember x = {expression} say 1")) == [NOT_ASSIGNED, "1"]


def test_a_logged_secret_is_replaced() -> None:
    talk = secret_talk("log event")
    tell(talk)
    assert [line.text for line in talk.logs] == ["secure variables can not be logged"]


def test_a_secret_may_be_compared_and_measured() -> None:
    body = f'say event == "{SECRET}" say event.length() say event.is_secure() say event match ["x"]'
    assert tell(secret_talk(body)) == ["true", str(len(SECRET)), "true", "false"]


def test_a_digest_of_a_secret_may_be_kept() -> None:
    talk = secret_talk('remember d = Crypto(event).create_hash("sha256").digest("hex") say d')
    (digest,) = tell(talk)
    assert len(digest) == 64


def test_a_secret_may_be_looked_up_and_an_error_shows_stars() -> None:
    assert tell(secret_talk(f'say {{"{SECRET}": 5}}[event] do o = {{"k": 1}} say o[event]')) == [
        "5",
        "! [***] key does not exist",
        None,
    ]


def test_a_secret_does_not_become_the_name_of_a_member() -> None:
    body = 'do o = {"k": 1} do o[event] = 2 do o["{{event}}"] += 1 say o'
    assert tell(secret_talk(body)) == [NOT_ASSIGNED, NOT_ASSIGNED, ("object", {"k": 1})]


def test_a_secret_may_name_a_step_that_there_is_and_no_other() -> None:
    assert tell(secret_talk("goto $event")) == ["!! [***] step does not exist"]
    talk = secret_talk(f'goto $event\n{SECRET}: say "found"')
    assert tell(talk) == ["found"]
    assert tell(secret_talk("goto flow $event")) == ["!! flow: [***] does not exist in bot: [bot]"]
    assert tell(secret_talk("goto a@$event in other")) == ["!!" + NOT_SHOWN[1:]]


def test_a_secret_goes_out_where_the_author_sends_it() -> None:
    host = FakeHost(answers=[HttpAnswer(200, {}, '{"ok": true}')])
    talk = secret_talk('say HTTP("https://x/login").post({"password": event}).send().ok', host=host)
    assert tell(talk) == ["true"]
    (request,) = host.calls
    assert isinstance(request, HttpRequest)
    assert request.body == f'{{"password":"{SECRET}"}}'


def test_the_address_of_a_failed_call_is_masked() -> None:
    for answer in (
        CallFailed(f"https://x/{SECRET}: Connection Failed: Dns Failed"),
        HttpAnswer(404, {}, "", f"https://x/{SECRET}"),
    ):
        talk = secret_talk(
            'say HTTP("https://x/{{event}}").get().send()', host=FakeHost(answers=[answer])
        )
        (error, null) = tell(talk)
        assert error in ("! ***: Connection Failed", "! ***: status code 404")
        assert null is None


def test_an_error_that_names_its_argument_masks_it() -> None:
    (error, null) = tell(secret_talk('say Base64("{{event}}").decode()'))
    assert error == "! Base64 invalid value: ***, can't be decode"
    assert null is None
    (error, _) = tell(secret_talk('say Crypto("x").create_hash(event)'))
    assert error.startswith("! '***' Invalid Algorithm")


def test_what_holds_a_secret_is_one_from_then_on() -> None:
    assert tell(secret_talk("do a = [1] do a.push(event) say a")) == [NOT_SHOWN]
    assert tell(secret_talk('do o = {"l": []} do o.l.push(event) say o')) == [NOT_SHOWN]


def test_a_hold_and_a_memory_leave_secrets_out() -> None:
    talk = secret_talk(
        'do a = [1] do a.push(event) use event as x do n = 2 hold say n say Exists("x")'
    )
    tell(talk)
    (hold,) = [effect for effect in talk.effects if isinstance(effect, Hold)]
    assert hold.record["step_vars"] == {"a": [1, None], "n": 2}
    assert talk() == ["2", "false"]


PARTS: list[tuple[str, Any]] = [
    ("remember m = [1] do m.push(event)", [1, None]),
    ("remember m = [1, [2]] do m[1].insert_at(0, event.text)", [1, [None, 2]]),
    ('remember m = {"a": [1], "b": 2} do m.a.push([event, 5])', {"a": [1, [None, 5]], "b": 2}),
    ('remember m = {"a": 1} do m.insert("k", event)', {"a": 1, "k": None}),
    ('remember m = {"a": 1} do m.insert(event, 5) do m.assign({"b": event})', {"a": 1, "b": None}),
    ('remember m = {"a": 1} do m.assign(event.more)', {"a": 1}),
    ("remember m = [1] do m.push(event.split(\"-\"))", [1, None]),
    ("remember m = [1] use [event, 2] as l do m.push(l) do m.push(l.slice(0))", [1, [None, 2], None]),
]  # fmt: skip


@pytest.mark.parametrize(("route", "stored"), PARTS, ids=[route for route, _ in PARTS])
def test_only_the_secret_in_a_memory_is_stored_as_null(route: str, stored: Any) -> None:
    talk = secret_talk(f"{route} say m hold say m")
    assert tell(talk)[-1] == NOT_SHOWN
    is_array = isinstance(stored, list)
    kept = stored if is_array else {"_content_type": "object", "_content": stored}
    assert talk.remembered == {"m": kept}
    assert talk() == [("array" if is_array else "object", stored)]


def test_the_hold_says_that_it_is_secure_and_the_next_event_is_not() -> None:
    talk = Talk("start: hold_secure say 1 hold say event")
    talk()
    assert talk.record["secure"] is True
    talk(SECRET)
    assert talk.record["secure"] is False
    assert talk("plain") == ["plain"]


def test_the_secret_stays_one_in_the_steps_that_follow_in_the_turn() -> None:
    talk = Talk("start: hold_secure goto b\nb: say event")
    talk()
    assert tell(talk) == [NOT_SHOWN]


def test_an_event_that_is_secure_by_itself_is_treated_alike() -> None:
    talk = Talk("start: say event say event.text[0]")
    talk(SECRET, secure=True)
    assert not [e for e in talk.effects if isinstance(e, Say | Fail) and "s3" in repr(e)]


def test_a_constant_does_not_take_a_secret_either() -> None:
    talk = Talk("const K = 1\nstart: hold_secure do K = event do K += event say K")
    talk()
    assert tell(talk) == [NOT_ASSIGNED, NOT_ASSIGNED, "1"]
