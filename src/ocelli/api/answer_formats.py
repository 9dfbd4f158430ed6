"""The form of an answer, as OpenAI's two APIs ask for it."""

from __future__ import annotations

from typing import Any

from ocelli.domain.chat import Format
from ocelli.domain.chat_errors import InvalidSchema, InvalidValue, MissingParameter, WrongType

AnswerFormat = tuple[Format, dict[str, Any] | None, str]
"""Which form, and the schema and its name of Format.JSON_SCHEMA."""

PLAIN: AnswerFormat = (Format.TEXT, None, "")
MAX_NAME_LENGTH = 64


def answer_format(form: dict[str, Any], place: str, *, nested: str | None = None) -> AnswerFormat:
    """Read ``form``, which stands at ``place`` of the request. Raises ChatError.

    ``nested`` is the field of it that holds a schema and its name; None: the form itself does.
    """
    try:
        format = Format(str(form.get("type")))
    except ValueError:
        raise InvalidValue(
            "Supported values are: 'text', 'json_object' and 'json_schema'.", param=f"{place}.type"
        ) from None
    if format is not Format.JSON_SCHEMA:
        return format, None, ""
    holder, at = form, place
    if nested is not None:
        at = f"{place}.{nested}"
        holder = {} if form.get(nested) is None else form[nested]
        if not isinstance(holder, dict):
            raise WrongType(f"Invalid type for '{at}': expected an object.", param=at)
    schema, name = holder.get("schema"), str(holder.get("name") or "schema")[:MAX_NAME_LENGTH]
    if schema is None:
        raise MissingParameter(f"Missing required parameter: '{at}.schema'.", param=f"{at}.schema")
    if not isinstance(schema, dict):
        raise InvalidSchema(
            f"Invalid schema for {place} '{name}': it is not an object.", param=place
        )
    return format, schema, name
