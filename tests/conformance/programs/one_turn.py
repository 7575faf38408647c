"""One turn of a bot's conversation in a process of its own.

    echo '{"text": "hi"}' | python -m tests.conformance.programs.one_turn BOT_FOLDER DATABASE

The answer of `POST /run` goes to the standard output. Everything the next process needs is in the
database.
"""

from __future__ import annotations

import asyncio
import json
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
    text = json.load(sys.stdin)["text"]
    answer = asyncio.run(one_turn(read_folder(Path(folder)), database, text))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
