"""The answer to a conversation: prose, a transcription, JSON, or the call of a tool."""

from __future__ import annotations

import json
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from ocelli.backends.local.conversation import (
    description_requests,
    structured_output,
    transcription,
)
from ocelli.backends.local.conversation.facts import PictureFacts
from ocelli.backends.local.conversation.json_schemas import check_schema, validate
from ocelli.backends.local.conversation.question_answering import COMPARE, answer
from ocelli.domain.chat import Format
from ocelli.domain.chat_errors import InvalidSchema, UnsupportedParameter
from ocelli.domain.findings import LOCAL
from ocelli.domain.ports_chat import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocelli.domain.chat import Conversation, Tool
    from ocelli.domain.ports_chat import AnalysedPicture
    from ocelli.domain.questions import Question


class LocalAnswerer:
    """See ocelli.domain.ports_chat.Answerer."""

    def check(self, conversation: Conversation) -> None:
        """Raise UnsupportedParameter for what takes a language model, InvalidSchema for schemas."""
        if conversation.demanding:
            name = conversation.demanding[0]
            raise UnsupportedParameter(
                f"'{name}' is not supported with this model: {LOCAL} answers from what its "
                "detectors find. Configure a vision-language model with the setting `backends`.",
                param=name,
            )
        if conversation.schema is not None:
            check_schema(conversation.schema, conversation.schema_name)
        for tool in conversation.tools:
            with _in_tool(tool):
                check_schema(tool.schema, tool.name)

    def compares(self, question: str) -> bool:
        """Whether ``question`` asks to compare pictures."""
        return COMPARE.search(question.casefold()) is not None

    def description_request(self, conversation: Conversation) -> Question | None:
        """See description_requests."""
        return description_requests.read(conversation)

    def reply(self, conversation: Conversation, pictures: Sequence[AnalysedPicture]) -> Reply:
        """Raises UnsupportedParameter where a schema asks for what is not known."""
        facts = [PictureFacts.of(each) for each in pictures]
        prose = _prose(conversation, facts)
        if not conversation.tools:
            return Reply(_formatted(conversation, prose, facts))
        for tool in conversation.tools:  # the first whose arguments are known
            last = tool is conversation.tools[-1]
            with nullcontext() if last else suppress(UnsupportedParameter), _in_tool(tool):
                value = structured_output.fill(tool.schema, prose, facts)
                validate(value, tool.schema)
                return Reply(json.dumps(value, ensure_ascii=False), tool.name)
        raise AssertionError  # the last one returns or raises


def _prose(conversation: Conversation, facts: Sequence[PictureFacts]) -> str:
    question, rules = conversation.question, conversation.instructions
    only_text = transcription.asked(question) or (
        "?" not in question and transcription.asked(rules, question)
    )
    if facts and only_text:
        return transcription.transcription(facts, rules, question)
    return answer(question, facts)


def _formatted(conversation: Conversation, prose: str, facts: Sequence[PictureFacts]) -> str:
    match conversation.format:
        case Format.TEXT:
            return prose
        case Format.JSON_OBJECT:
            value = structured_output.everything(prose, facts)
        case Format.JSON_SCHEMA:
            schema = conversation.schema or {}
            value = structured_output.fill(schema, prose, facts)
            validate(value, schema)
    return json.dumps(value, ensure_ascii=False)


@contextmanager
def _in_tool(tool: Tool) -> Iterator[None]:
    """What is wrong with a schema is said of the tool that it belongs to."""
    try:
        yield
    except (InvalidSchema, UnsupportedParameter) as error:
        message = f"The arguments of {tool.name!r} cannot be filled. {error.message}"
        raise type(error)(message, param="tools") from error
