"""The turns of a bot's conversation, each in a process of its own.

    echo '"hi"' | python -m tests.conformance.programs.one_turn BOT_FOLDER DATABASE

Every line of the standard input is a text as JSON; for each a new process is made that has never
seen the bot, and puts the answer of `POST /run` on a line of the standard output. Everything that
one process leaves to the next is in the database. (Processes are forked from one that has only
imported Palaver: starting Python takes longer than a turn.)
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx

from palaver.config import ServerSettings
from palaver.folder import BotFolder, read_folder
from palaver.wiring import build

CLIENT = {"bot_id": "travel", "channel_id": "channel", "user_id": "ann"}


def request_for(text: str) -> dict[str, Any]:
    """The body of `POST /run` for one text."""
    return {
        "bot_id": CLIENT["bot_id"],
        "event": {
            "request_id": str(uuid.uuid4()),
            "client": CLIENT,
            "payload": {"content_type": "text", "content": {"text": text}},
            "metadata": {"language": "fr"},
        },
    }


async def ask(client: httpx.AsyncClient, text: str) -> Any:
    """The answer to one text."""
    answer = await client.post("/run", json=request_for(text))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def one_turn(folder: BotFolder, database: str, text: str) -> Any:
    """Starts a service, asks it once, stops it."""
    async with build(ServerSettings(database=database), [folder]) as service:
        transport = httpx.ASGITransport(service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://palaver") as client:
            return await ask(client, text)


def main() -> None:
    folder, database = sys.argv[1:]
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            answer = asyncio.run(one_turn(read_folder(Path(folder)), database, json.loads(line)))
            print(json.dumps(answer), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(1)


if __name__ == "__main__":
    main()
