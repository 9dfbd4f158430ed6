"""A conversation as a file. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ocelli.domain.library_chat import ChatRole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.library_chat import ChatSession, SessionMessage

_NAMES = {ChatRole.USER: "User", ChatRole.ASSISTANT: "Assistant", ChatRole.SYSTEM: "System"}


class ChatFormat(StrEnum):
    """The formats of an exported conversation."""

    JSON = "json"
    MARKDOWN = "markdown"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class ExportedChat:
    """A file: its content, MIME type, and the end of its name."""

    content: bytes
    content_type: str
    suffix: str


def export_chat(
    session: ChatSession,
    messages: Sequence[SessionMessage],
    format: ChatFormat,
    *,
    include_metadata: bool,
) -> ExportedChat:
    """Return a conversation as a file; with ``include_metadata`` what is known of each message."""
    match format:
        case ChatFormat.JSON:
            value = _json(session, messages, include_metadata=include_metadata)
            text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
            return ExportedChat(text.encode(), "application/json", ".json")
        case ChatFormat.MARKDOWN:
            text = _written(session, messages, "# ", "## ", include_metadata=include_metadata)
            return ExportedChat(text.encode(), "text/markdown; charset=utf-8", ".md")
        case ChatFormat.TEXT:
            text = _written(session, messages, "", "", include_metadata=include_metadata)
            return ExportedChat(text.encode(), "text/plain; charset=utf-8", ".txt")


def _json(
    session: ChatSession, messages: Sequence[SessionMessage], *, include_metadata: bool
) -> dict[str, Any]:
    return {
        "session": {
            "id": str(session.id),
            "title": session.title,
            "created_at": session.created_at.isoformat(),
            "is_active": session.closed_at is None,
            "total_messages": len(messages),
            "total_tokens": session.tokens,
        },
        "messages": [
            {
                "role": each.role.value,
                "content": each.plain,
                "created_at": each.created_at.isoformat(),
                **({"metadata": _metadata(each)} if include_metadata else {}),
            }
            for each in messages
        ],
    }


def _written(
    session: ChatSession,
    messages: Sequence[SessionMessage],
    title: str,
    heading: str,
    *,
    include_metadata: bool,
) -> str:
    blocks = [f"{title}{' '.join(session.title.split())}"]
    for each in messages:
        blocks.append(f"{heading}{_NAMES[each.role]}, {each.created_at:%Y-%m-%d %H:%M:%S %Z}")
        blocks.append(each.plain)
        if include_metadata:
            blocks += [f"{name}: {_shown(value)}" for name, value in _metadata(each).items()]
    return "\n\n".join(blocks) + "\n"


def _metadata(message: SessionMessage) -> dict[str, Any]:
    known = {
        "id": str(message.id),
        "token_count": message.token_count,
        "processing_time_ms": message.processing_ms,
        "image_ids": [str(id) for id in message.image_ids] or None,
        **message.notes,
    }
    return {name: value for name, value in known.items() if value is not None}


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
