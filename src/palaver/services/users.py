"""A person's data: everything that is known about a user of a bot, and its erasure with a proof.

A user is whoever has one user id with one bot, on one channel or on all of them. What a bot knows
of a user who was switched to it by another bot is that bot's: ask once for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palaver.errors import NotFound
from palaver.model import Client, Job, Message, Person
from palaver.storage.protocol import Storage
from palaver.types import Clock, Json, JsonObject, iso_ms

FORMAT = "palaver.user/1"

_PAGE = 500


@dataclass(frozen=True, slots=True)
class User:
    """Whose data it is: the engine's clients, and the dialects' records."""

    bot_id: str
    user_id: str
    clients: tuple[Client, ...]
    persons: tuple[Person, ...]

    def all_clients(self) -> tuple[Client, ...]:
        """Also those of persons who never said anything: answers may be kept for them."""
        silent = (Client(p.bot_id, p.channel_id, p.user_id) for p in self.persons)
        return tuple(dict.fromkeys((*self.clients, *silent)))


class Users:
    """Exports and erases."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def find(self, bot_id: str, user_id: str, channel_id: str | None = None) -> User:
        """Who is meant.

        Args:
            user_id: as the channel knows the user, or the 24-digit id of the ChatBot.com and
                Clustaar dialects.
            channel_id: None for all channels.

        Raises:
            NotFound: nothing is known about such a user.
        """
        storage = self._storage
        person = await storage.person(user_id)
        if person is not None and person.bot_id == bot_id:
            user_id = person.user_id
        clients = await storage.clients_of_user(bot_id, user_id)
        persons = await storage.persons_of_user(bot_id, user_id)
        if channel_id is not None:
            clients = tuple(c for c in clients if c.channel_id == channel_id)
            persons = tuple(p for p in persons if p.channel_id == channel_id)
        if not clients and not persons:
            where = "" if channel_id is None else f" on channel {channel_id}"
            raise NotFound(f"nothing is stored about user {user_id} of bot {bot_id}{where}")
        return User(bot_id, user_id, clients, persons)

    # --- export ----------------------------------------------------------------------------------

    async def export(self, user: User) -> JsonObject:
        """All that is known, as one document; lists are oldest first.

        `{"format", "exported_at", "bot_id", "user_id", "clients": […], "persons": […]}`; a client
        has `channel_id`, `conversations`, `messages`, `memories`, `hold`, `previous_bot`, `jobs`
        (what is still to be done about it); a person its `attributes` and `sessions`. Credentials
        are left out.
        """
        return {
            "format": FORMAT,
            "exported_at": iso_ms(self._clock.now()),
            "bot_id": user.bot_id,
            "user_id": user.user_id,
            "clients": [await self._client(client) for client in user.clients],
            "persons": [await self._person(person) for person in user.persons],
        }

    async def _client(self, client: Client) -> JsonObject:
        storage, now = self._storage, self._clock.now()
        state = await storage.load_client(client, now)
        held = await storage.hold_of(client, now)
        hold: Json = None
        if held is not None:
            hold = {"held_at": iso_ms(held[1]), "state": held[0]}
        memories: list[Json] = [
            {"key": memory.key, "value": memory.value, "created_at": iso_ms(memory.created_at)}
            for memory in await storage.list_memories(client, now)
        ]
        messages: list[Json] = [_message(message) for message in await self._messages(client)]
        return {
            "channel_id": client.channel_id,
            "conversations": await self._conversations(client),
            "messages": messages,
            "memories": memories,
            "hold": hold,
            "previous_bot": state.previous_bot,
            "jobs": [_job(job) for job in await storage.jobs_of_client(client)],
        }

    async def _conversations(self, client: Client) -> list[Json]:
        found: list[Json] = []
        after: str | None = None
        while True:
            page = await self._storage.list_conversations(
                client, limit=_PAGE, after=after, now=self._clock.now()
            )
            found += [
                {
                    "id": conversation.id,
                    "flow_id": conversation.flow_id,
                    "step_id": conversation.step_id,
                    "status": conversation.status.value,
                    "created_at": iso_ms(conversation.created_at),
                    "last_interaction_at": iso_ms(conversation.last_interaction_at),
                }
                for conversation in page.items
            ]
            after = page.next_key
            if after is None:
                return found[::-1]

    async def _messages(self, client: Client) -> list[Message]:
        found: list[Message] = []
        after: str | None = None
        while True:
            page = await self._storage.list_messages(
                client, limit=_PAGE, after=after, since=None, until=None, now=self._clock.now()
            )
            found += page.items
            after = page.next_key
            if after is None:
                return found[::-1]

    async def _person(self, person: Person) -> JsonObject:
        sessions: list[Json] = [
            {
                "id": session.id,
                "name": session.name,
                "started_at": iso_ms(session.started_at),
                "last_active_at": iso_ms(session.last_active_at),
                "first_message": session.first_message,
                "data": session.data,
            }
            for session in reversed(await self._storage.sessions_of(person.id))
        ]
        return {
            "id": person.id,
            "channel_id": person.channel_id,
            "attributes": person.attributes,
            "created_at": iso_ms(person.created_at),
            "last_seen_at": None if person.last_seen_at is None else iso_ms(person.last_seen_at),
            "sessions": sessions,
        }

    # --- erasure ---------------------------------------------------------------------------------

    async def erase(self, user: User) -> JsonObject:
        """Removes everything, looks again, and says what it found.

        `{"bot_id", "user_id", "channels": […], "erased_at", "removed": counts, "left": counts,
        "complete": bool}`; counts are by kind: conversations, messages, turns (which hold the
        messages), memories, states (holds and previous bots), answers kept for repeats, jobs,
        persons, sessions. It is incomplete when the user said something meanwhile: erase again.
        """
        removed = await self.counts(user)
        for client in user.all_clients():
            await self._storage.delete_client(client)
        for person in user.persons:
            await self._storage.delete_person(person.id)
        left = await self.counts(user)
        channels: list[Json] = []
        channels += sorted({known.channel_id for known in (*user.clients, *user.persons)})
        return {
            "bot_id": user.bot_id,
            "user_id": user.user_id,
            "channels": channels,
            "erased_at": iso_ms(self._clock.now()),
            "removed": removed,
            "left": left,
            "complete": not any(left.values()),
        }

    async def counts(self, user: User) -> dict[str, Json]:
        """How much there is of a user, by kind."""
        storage = self._storage
        total = dict.fromkeys(_KINDS, 0)
        for client in user.all_clients():
            for kind, number in (await storage.count_client(client)).items():
                total[kind] += number
            total["messages"] += len(await self._messages(client))
        for person in user.persons:
            total["persons"] += await storage.person(person.id) is not None
            total["sessions"] += len(await storage.sessions_of(person.id))
        return {**total}


_KINDS: Sequence[str] = (
    "conversations",
    "messages",
    "turns",
    "memories",
    "states",
    "answers",
    "jobs",
    "persons",
    "sessions",
)


def _job(job: Job) -> JsonObject:
    return {
        "id": job.id,
        "task": job.task,
        "status": job.status.value,
        "run_at": None if job.run_at is None else iso_ms(job.run_at),
        "arguments": job.arguments,
        "attempts": job.attempts,
        "error": job.error,
    }


def _message(message: Message) -> JsonObject:
    return {
        "conversation_id": message.conversation_id,
        "flow_id": message.flow_id,
        "step_id": message.step_id,
        "direction": message.direction.value,
        "payload": message.payload,
        "created_at": iso_ms(message.created_at),
    }
