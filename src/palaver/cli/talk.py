"""The three dialects as a person at a keyboard sees them: a text or a click in, messages out.

A `Talk` makes the request for what the person did and reads the answer; the caller sends it. No
I/O here, so that `chat` works in process and over a network alike, and tests need neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Click:
    """A button as it is shown: its title, and what pressing it sends (the dialect's own form)."""

    title: str
    sends: Any


@dataclass(frozen=True, slots=True)
class Said:
    """One message as it is shown. `text` may be empty where there are only buttons."""

    text: str
    clicks: tuple[Click, ...] = ()
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request to send: method, path with query, and the JSON body."""

    path: str
    body: Any = None
    method: str = "POST"


@dataclass(slots=True)
class Talk:
    """One dialect, one person. `memories` are those of the last answer, where it shows them.

    `client` is the engine's triple, once an answer told it.
    """

    user: str
    bot_hex: str = ""
    memories: Mapping[str, Any] | None = None
    client: Mapping[str, str] | None = None
    resets: int = field(default=0)

    key: str = field(default="", init=False)
    """Name of the credential it needs."""

    def headers(self, key: str) -> dict[str, str]:
        """The credential as the dialect's header."""
        return {"Authorization": f"Bearer {key}"}

    def opening(self) -> Call | None:
        """A request to make before the first message."""
        return None

    def opened(self, answer: Any) -> None:
        """Reads the answer to `opening`."""

    def text(self, words: str) -> Call:
        """The person typed something."""
        raise NotImplementedError

    def click(self, click: Click) -> Call:
        """The person pressed a button."""
        raise NotImplementedError

    def reset(self) -> Call | None:
        """Begins anew; None when the next message does so by itself (`opening` first)."""
        raise NotImplementedError

    def messages(self, answer: Any) -> list[Said]:
        """What the bot said; keeps memories and the client."""
        raise NotImplementedError


@dataclass(slots=True)
class StudioTalk(Talk):
    """`POST /v1/api/chat`. Spec: csml-studio-api §3."""

    def __post_init__(self) -> None:
        self.key = "studio_key"

    def headers(self, key: str) -> dict[str, str]:
        return {"X-Api-Key": key}

    def text(self, words: str) -> Call:
        return self._call("text", {"text": words})

    def click(self, click: Click) -> Call:
        return self._call("payload", {"payload": click.sends, "title": click.title})

    def reset(self) -> Call:
        # A flow nobody has means the default flow, from its start (csml-studio-api §3.3).
        return self._call("flow_trigger", {"flow_id": "Default", "close_flows": True})

    def _call(self, content_type: str, content: dict[str, Any]) -> Call:
        payload = {"content_type": content_type, "content": content}
        body = {"client": {"user_id": self.user}, "metadata": {}, "payload": payload}
        return Call("/v1/api/chat", body)

    def messages(self, answer: Any) -> list[Said]:
        self.client = answer.get("client")
        return [said_from_payload(message["payload"]) for message in answer.get("messages", [])]


@dataclass(slots=True)
class ChatbotTalk(Talk):
    """`POST /query`. Spec: chatbot-com §4."""

    def __post_init__(self) -> None:
        self.key = "chatbot_client"

    def text(self, words: str) -> Call:
        return self._call({"query": words})

    def click(self, click: Click) -> Call:
        return self._call(click.sends)

    def reset(self) -> Call:
        return self._call({"trigger": "welcome", "reset": True})

    def _call(self, what: dict[str, Any]) -> Call:
        session = f"{self.user}-session"[:64].ljust(10, "-")
        return Call("/query", {"sessionId": session, "debug": True, **what})

    def messages(self, answer: Any) -> list[Said]:
        result = answer["result"]
        self.memories = result.get("sessionParameters")
        return [said for item in result["fulfillment"] for said in _chatbot_said(item)]


@dataclass(slots=True)
class ClustaarTalk(Talk):
    """An interlocutor, then its replies. Spec: clustaar §2.4, §2.7."""

    interlocutor: str = ""

    def __post_init__(self) -> None:
        self.key = "clustaar_token"

    def opening(self) -> Call | None:
        if self.interlocutor:
            return None
        user = self.user if not self.resets else f"{self.user}-{self.resets}"
        path = f"/bots/{self.bot_hex}/interlocutors/clustaar_web_chat"
        return Call(path, {"type": "interlocutor", "userID": user[:99]})

    def opened(self, answer: Any) -> None:
        self.interlocutor = answer["data"]["id"]

    def text(self, words: str) -> Call:
        return self._call({"type": "text", "message": words})

    def click(self, click: Click) -> Call:
        return self._call(click.sends)

    def reset(self) -> None:
        # This dialect has no word for it: go on as another person.
        self.resets += 1
        self.interlocutor = ""

    def _call(self, body: dict[str, Any]) -> Call:
        return Call(f"/interlocutors/{self.interlocutor}/reply?debug=1", body)

    def messages(self, answer: Any) -> list[Said]:
        data = answer["data"]
        self.memories = data.get("session", {}).get("values")
        return [
            said for action in data["fulfillment"]["actions"] for said in _clustaar_said(action)
        ]


DIALECTS: Final[Mapping[str, type[Talk]]] = {
    "studio": StudioTalk,
    "chatbot": ChatbotTalk,
    "clustaar": ClustaarTalk,
}


# --- messages ----------------------------------------------------------------------------------


def said_from_payload(payload: Mapping[str, Any]) -> Said:
    """A CSML message as text and buttons; what has no text is shown by its content type."""
    kind, content = payload.get("content_type", ""), payload.get("content", {})
    if kind == "error":
        return Said(str(content.get("error", "")), is_error=True)
    if kind == "button":
        return Said("", _studio_clicks([payload]))
    if kind == "carousel":
        cards = [said_from_payload(card) for card in content.get("cards", [])]
        text = "\n".join(card.text for card in cards)
        return Said(text, tuple(click for card in cards for click in card.clicks))
    if kind in ("wait", "typing"):
        return Said("")
    parts = [content.get(name) for name in ("text", "title", "subtitle", "url", "image_url")]
    found = list(dict.fromkeys(str(part) for part in parts if part))
    text = "\n".join(found) if found else f"[{kind}] {content}"
    return Said(text, _studio_clicks(content.get("buttons") or ()))


def _studio_clicks(buttons: Any) -> tuple[Click, ...]:
    clicks = []
    for button in buttons:
        content = button.get("content", {}) if isinstance(button, Mapping) else {}
        title = content.get("title", button)
        clicks.append(Click(str(title), str(content.get("payload", title))))
    return tuple(clicks)


def _chatbot_said(item: Mapping[str, Any]) -> list[Said]:
    if item.get("debug"):
        return [Said(f"({item.get('type')}) {item.get('message')}", is_error=True)]
    if item.get("type") in ("text", "image"):
        return [Said(str(item.get("message") or item.get("imageUrl") or item.get("url") or ""))]
    found = []
    for part in item.get("elements") or [item]:
        texts = (part.get(name) for name in ("title", "subtitle", "message", "text"))
        text = "\n".join(dict.fromkeys(str(t) for t in texts if t))
        found.append(Said(text, tuple(map(_chatbot_click, part.get("buttons") or ()))))
    return found


def _chatbot_click(button: Mapping[str, Any]) -> Click:
    title = str(button.get("title", ""))
    value = str(button.get("value") or title)
    if button.get("type") == "url":
        return Click(f"{title} ({value})", {"query": title})
    name = {"goto": "goto", "trigger": "trigger"}.get(str(button.get("type")), "query")
    return Click(title, {name: value})


def _clustaar_said(action: Mapping[str, Any]) -> list[Said]:
    kind = action.get("type")
    if kind == "send_text_action":
        return [Said(str(action.get("text") or ""))]
    if kind == "send_cards_action":
        return [_clustaar_card(card) for card in action.get("cards", [])]
    if kind == "wait_action":
        return []
    text = action.get("message") or action.get("text") or action.get("imageURL")
    clicks = _clustaar_clicks(action.get("buttons") or action.get("choices") or ())
    return [Said(str(text) if text else f"[{kind}]", clicks)]


def _clustaar_card(card: Mapping[str, Any]) -> Said:
    parts = (card.get(name) for name in ("title", "subtitle", "url"))
    return Said("\n".join(str(p) for p in parts if p), _clustaar_clicks(card.get("buttons") or ()))


def _clustaar_clicks(buttons: Any) -> tuple[Click, ...]:
    return tuple(Click(str(b.get("title", "")), b.get("action")) for b in buttons)
