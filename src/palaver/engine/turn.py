"""One turn: from an event and the client's state to messages and what is to be stored.

Chooses where the event goes, runs the scenario, folds its effects. A bot switch goes on with the
other bot's scenario (engine §8.4), a relaunch with the step the client was on (studio §3.3). No
storage inside: reading is asked of the engine, writing is returned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from palaver.csml.alphabet import ascii_lower
from palaver.effects import Effect, SwitchBot
from palaver.engine.ask import Ask
from palaver.engine.bots import RunnableBot
from palaver.engine.scenario import Entry, Place, TurnInput
from palaver.engine.span import BUILD, Span, StoredMemories, error_payload
from palaver.model import Bot, Client, Event, Turn
from palaver.storage.protocol import ClientState
from palaver.types import Json, JsonObject

RunScenario: TypeAlias = Callable[[RunnableBot, TurnInput, Client], Awaitable[list[Effect]]]
LoadState: TypeAlias = Callable[[Client], Awaitable[ClientState]]
LoadOther: TypeAlias = Callable[[str, str | None, Bot], Awaitable[RunnableBot]]
LoadBuild: TypeAlias = Callable[[str, str], Awaitable[RunnableBot | None]]


@dataclass(frozen=True, slots=True)
class World:
    """What a turn asks of the engine.

    Attributes:
        run: runs a scenario with a host, for a client as apps are shown it.
        load_state: reads a client.
        load_other: finds another bot by id and version, for one that switches to it and whose
            components it inherits; raises BotNotFound.
        load_build: finds a stored build; None when it is gone.
        pick: a random number below its argument.
    """

    run: RunScenario
    load_state: LoadState
    load_other: LoadOther
    load_build: LoadBuild
    pick: Callable[[int], int]
    now: datetime
    max_memory_bytes: int


class Result(NamedTuple):
    """A turn made but not yet stored. `spans` in order; the last one is where it ended."""

    turn: Turn
    spans: tuple[Span, ...]


async def make_turn(ask: Ask, world: World) -> Result:
    """Runs everything the event leads to."""
    state = await world.load_state(ask.client)
    span, entry, event = await _begin(ask, state, world)
    await _run(ask, world, span, entry, event)
    if _relaunches(ask, state, span):
        entry = _previous_entry(state, span, event, world)
        span.enter(entry)
        await _run(ask, world, span, entry, event)
    spans = [span]
    while span.switch is not None:
        arrived = await _switch(ask, spans, world, span.switch, event)
        if arrived is None:
            break
        span, entry, event = arrived
        spans.append(span)
        await _run(ask, world, span, entry, event)
    return Result(_turn(ask, spans, entry), tuple(spans))


# --- beginning ---------------------------------------------------------------------------------


async def _begin(ask: Ask, state: ClientState, world: World) -> tuple[Span, Entry, Event]:
    conversation = None if ask.closes_first else state.conversation
    event = ask.event
    was_secret = state.hold is not None and state.hold.get("secure") is True
    place = Place(None, None, None)
    if conversation is not None:
        place = Place(conversation.flow_id, conversation.step_id, state.hold)
    entry = ask.bot.scenario.choose(event, place, world.pick)
    bot, entry, apology = await _on_its_build(ask.bot, entry, place, world)
    if entry.closes:
        conversation = None
    span = Span(ask.client, bot, state, conversation, entry, now=world.now)
    if state.conversation is not None and conversation is None:
        span.close(state.conversation)
    if ask.closes_first:
        span.previous_bot = None  # it goes with the conversation (engine §5.1)
    # An answer to a hold_secure is not stored, also when a command took it (engine §6.5).
    span.receive(event, is_secret=event.secure or was_secret)
    if apology is not None:
        span.say({"content_type": "text", "content": {"text": apology}})
    if was_secret and entry.hold is not None:
        event = event._replace(secure=True)
    for name, value in ask.memories.items():
        if value is None:
            span.forget((name,))
        else:
            span.remember(name, value)
    return span, entry, event


async def _on_its_build(
    bot: RunnableBot, entry: Entry, place: Place, world: World
) -> tuple[RunnableBot, Entry, str | None]:
    """Where a conversation goes on that holds on another build (product.md §2, on_new_build).

    By default on this one, by the hash rule. "finish": on its own, while that is there. "restart":
    at the beginning, with an apology. Commands and triggers were looked up in this build already.
    """
    made_on = entry.hold.get(BUILD) if entry.hold is not None else None
    if not isinstance(made_on, str) or bot.version_id is None or made_on == bot.version_id:
        return bot, entry, None
    if bot.on_new_build == "restart":
        return bot, bot.scenario.begin(), bot.restart_text
    if bot.on_new_build == "finish":
        older = await world.load_build(bot.bot.id, made_on)
        resumed = older.scenario.resume(place) if older is not None else None
        if older is not None and resumed is not None:
            own = replace(bot, bot=older.bot, scenario=older.scenario, version_id=older.version_id)
            return own, resumed, None
    return bot, entry, None


async def _run(ask: Ask, world: World, span: Span, entry: Entry, event: Event) -> None:
    turn = TurnInput(
        entry=entry,
        event=event,
        bot_id=span.bot.bot.id,
        metadata=ask.metadata,
        memories=span.memories,
        step_limit=span.bot.step_limit if ask.step_limit is None else ask.step_limit,
        previous_bot=span.previous_bot,
        env=span.bot.bot.env,
        has_apps=span.bot.apps_endpoint is not None,
    )
    span.switch = None
    for effect in await world.run(span.bot, turn, ask.shown(span.client)):
        span.apply(effect)
    span.check_memories(world.max_memory_bytes)


def _relaunches(ask: Ask, state: ClientState, span: Span) -> bool:
    return (
        ask.relaunches
        and not ask.closes_first
        and ask.event.content_type == "flow_trigger"
        and state.hold is not None
        and state.conversation is not None
        and span.ended
    )


def _previous_entry(state: ClientState, span: Span, event: Event, world: World) -> Entry:
    """Where the client stood before the trigger, from the step's top."""
    before = state.conversation
    flow, step = (before.flow_id, before.step_id) if before else (None, None)
    nothing_said = event._replace(content_type="text", value="\0")
    return span.bot.scenario.choose(nothing_said, Place(flow, step, None), world.pick)


# --- switching bots ----------------------------------------------------------------------------


async def _switch(
    ask: Ask, spans: list[Span], world: World, switch: SwitchBot, event: Event
) -> tuple[Span, Entry, Event] | None:
    """Leaves for another bot; None when that is not allowed. Spec: engine §8.4."""
    span = spans[-1]
    wanted = next((o for o in span.bot.multibot if switch.bot in (o.id, o.name)), None)
    if wanted is None:
        span.fail(f"Switching to Bot: ({switch.bot}) is not allowed")
        return None
    other = await world.load_other(wanted.id, wanted.version_id, span.bot.bot)
    here: JsonObject = {"bot": span.client.bot_id, "flow": span.flow, "step": span.step}
    other = replace(other, apps_endpoint=span.bot.apps_endpoint, multibot=span.bot.multibot)
    client: Json = dict(ask.shown(span.client)._asdict())
    span.say({"content_type": "switch_bot", "content": {"bot_id": wanted.id, "client": client}})
    span.ended = True
    there = span.client._replace(bot_id=other.bot.id)  # the list may have its UUID
    state = await _state_of(there, spans, world)
    trigger, complaint = _trigger(other, switch, event)
    entry = other.scenario.choose(trigger, Place(None, None, None), world.pick)
    now = span.now + timedelta(microseconds=1)  # a client's new conversation is its newest
    said = sum(len(left.sent) for left in spans)
    arrived = Span(there, other, state, None, entry, now=now, first_order=said)
    if state.conversation is not None:
        arrived.close(state.conversation)
    arrived.previous_bot = here
    if complaint is not None:
        arrived.say(error_payload(complaint))
    return arrived, entry, trigger


async def _state_of(client: Client, spans: list[Span], world: World) -> ClientState:
    """A client as it stands now: one that this turn has left already is not as it was stored."""
    left = next((span for span in reversed(spans) if span.client == client), None)
    if left is None:
        return await world.load_state(client)
    return ClientState(memories=left.memories)  # its conversation was closed when it was left


def _trigger(bot: RunnableBot, switch: SwitchBot, event: Event) -> tuple[Event, str | None]:
    """The event the other bot gets, and what is said when it lacks the flow."""
    flow = switch.flow if switch.flow is not None else bot.bot.default_flow
    step = switch.step if switch.step is not None else "start"
    found = _flow_id(bot, flow)
    complaint = None
    if found is None:
        complaint = (
            f"flow: [{flow}] not found in bot: [{bot.bot.name}], switching to start@default_flow"
        )
        found, step = _flow_id(bot, bot.bot.default_flow) or bot.bot.default_flow, "start"
    content: JsonObject = {"flow_id": found, "step_id": step}
    return Event("flow_trigger", content, event.value, event.secure), complaint


def _flow_id(bot: RunnableBot, reference: str) -> str | None:
    wanted = ascii_lower(reference)
    for flow_id, name, _ in bot.scenario.flow_steps():
        if wanted in (ascii_lower(flow_id), ascii_lower(name)):
            return flow_id
    return None


# --- the result --------------------------------------------------------------------------------


def _turn(ask: Ask, spans: list[Span], entry: Entry) -> Turn:
    last = spans[-1]
    sent = [message for span in spans for message in span.sent]
    return Turn(
        request_id=ask.request_id,
        client=last.client,
        received_at=ask.received_at,
        conversation_id=last.conversation.id,
        messages=tuple(sent),
        conversation_end=last.ended,
        interaction_order=last.interaction_order,
        chosen=entry.chosen,
        flow=last.flow,
        flow_id=last.flow_id,
        step=last.step,
        is_held=last.hold is not None,
        memories=StoredMemories(last.memories),
        logs=tuple(line for span in spans for line in span.logs),
        is_failed=last.failed,
    )


def dropped_turn(ask: Ask) -> Turn:
    """The turn of an event that came too early (engine §3.7): nothing happened."""
    return Turn(
        request_id=ask.request_id,
        client=ask.client,
        received_at=ask.received_at,
        conversation_id="",
        messages=(),
        conversation_end=False,
        interaction_order=0,
        chosen=ask.bot.scenario.choose(ask.event, Place(None, None, None), lambda n: 0).chosen,
        flow="",
        flow_id="",
        step="",
        is_held=False,
        memories={},
        is_dropped=True,
    )
