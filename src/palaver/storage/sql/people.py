"""The dialects' users and sessions, and the keys of bots."""

from __future__ import annotations

from collections.abc import Mapping

from palaver.errors import StorageError
from palaver.model import Person, Session
from palaver.storage.sql.driver import Row
from palaver.storage.sql.rows import person_from_row, session_from_row
from palaver.storage.sql.turns import SqlTurns


class SqlPeople(SqlTurns):
    """`storage.protocol.People` in SQL; a turn writes them too, hence the base."""

    async def create_person(self, person: Person) -> Person:
        """The insert decides the race, the read tells who won it."""
        await self._driver.write([(self._sql["create_person"], [self._person_row(person)])])
        found = await self.find_person(person.bot_id, person.channel_id, person.user_id)
        if found is None:
            raise StorageError(f"person {person.id} could not be stored: its id is another user's")
        return found

    async def save_person(self, person: Person) -> None:
        await self._driver.write([(self._sql["save_person"], [self._person_row(person)])])

    async def find_person(self, bot_id: str, channel_id: str, user_id: str) -> Person | None:
        sql = self._sql["find_person"]
        rows = await self._driver.read(sql, (bot_id, channel_id, user_id))
        return self._person_from_row(rows[0]) if rows else None

    async def person(self, person_id: str) -> Person | None:
        rows = await self._driver.read(self._sql["person"], (person_id,))
        return self._person_from_row(rows[0]) if rows else None

    async def newest_session(self, bot_id: str, name: str) -> Session | None:
        rows = await self._driver.read(self._sql["newest_session"], (bot_id, name))
        return self._session_from_row(rows[0]) if rows else None

    async def save_session(self, session: Session) -> None:
        await self._driver.write([(self._sql["save_session"], [self._session_row(session)])])

    async def sessions_of(self, person_id: str) -> tuple[Session, ...]:
        rows = await self._driver.read(self._sql["sessions_of"], (person_id,))
        return tuple(self._session_from_row(row) for row in rows)

    async def persons_of_user(self, bot_id: str, user_id: str) -> tuple[Person, ...]:
        rows = await self._driver.read(self._sql["persons_of_user"], (bot_id, user_id))
        return tuple(self._person_from_row(row) for row in rows)

    async def delete_person(self, person_id: str) -> None:
        names = ("delete_sessions_of_person", "delete_person")
        await self._driver.write([(self._sql[name], [(person_id,)]) for name in names])

    async def keys_of(self, bot_id: str) -> dict[str, str]:
        rows = await self._driver.read(self._sql["keys_of"], (bot_id,))
        return {name: self._cipher.unseal_text(key) for name, key in rows}

    async def save_keys(self, bot_id: str, keys: Mapping[str, str]) -> None:
        rows = [(bot_id, name, self._cipher.seal_text(key)) for name, key in keys.items()]
        if rows:
            await self._driver.write([(self._sql["add_key"], rows)])

    async def replace_key(self, bot_id: str, name: str, key: str) -> None:
        await self.note_key()
        row = (bot_id, name, self._cipher.seal_text(key))
        await self._driver.write([(self._sql["replace_key"], [row])])

    async def note_key(self) -> None:
        """Not in a transaction with what is sealed: it comes before, and may stand alone."""
        for key_id in self._cipher.key_ids[:1]:
            if (key_id,) not in await self._driver.read(self._sql["sealing_keys"], ()):
                await self._driver.write([(self._sql["add_sealing_key"], [(key_id,)])])

    def _person_from_row(self, row: Row) -> Person:
        secret = row[7]
        opened = None if secret is None else self._cipher.unseal_text(secret)
        return person_from_row(row, secret=opened)

    def _session_from_row(self, row: Row) -> Session:
        said = row[6]
        return session_from_row(
            row,
            first_message=None if said is None else self._cipher.unseal_text(said),
            data=self._cipher.unseal(row[7]),
        )
