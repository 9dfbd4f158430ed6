"""Bodies of the Responses, field by field as OpenAI's clients know them.

``null`` is the same as absent; fields that are not listed are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from ocelli.api.verified import LevelExtension

Whole = Annotated[float, Field(strict=True, multiple_of=1, allow_inf_nan=False)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]


class ResponseRequest(BaseModel):
    """What is asked."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(min_length=1, max_length=256, description="See GET /v1/models.")
    # Read by ocelli.api.responses.mapping, which names the exact place of what is wrong.
    input: SkipValidation[str | list[dict[str, Any]]] = Field(
        description="A text, or items: messages with `input_text` and `input_image` (`image_url` "
        "is a text: `https://...`, or `data:image/jpeg;base64,...`), `function_call`, "
        "`function_call_output`, `item_reference`."
    )
    instructions: str | None = Field(None, description="For this answer alone.")
    max_output_tokens: Whole | None = Field(None, ge=1)
    temperature: Number | None = Field(None, ge=0, le=2)
    top_p: Number | None = Field(None, ge=0, le=1)
    top_logprobs: Whole | None = Field(None, ge=0, le=20)
    text: SkipValidation[dict[str, Any] | None] = Field(
        None, description="`format`: `text`, `json_object`, or `json_schema` with its `schema`."
    )
    tools: SkipValidation[list[dict[str, Any]] | None] = Field(
        None,
        description="Functions. The local model fills the arguments of one that `tool_choice` "
        "demands, and refuses to choose.",
    )
    tool_choice: SkipValidation[str | dict[str, Any] | None] = None
    stream: Flag | None = None
    store: Flag | None = Field(None, description="Whether it is kept for a day. Default: true.")
    previous_response_id: str | None = Field(None, max_length=100)
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] = (
        Field({}, max_length=16, description="Comes back in the answer.")
    )
    user: SkipValidation[Any] = None
    conversation: SkipValidation[Any] = Field(None, description="Not to be had.")
    prompt: SkipValidation[Any] = Field(None, description="Not to be had.")
    background: SkipValidation[Any] = Field(None, description="Not to be had.")


class ResponseBody(BaseModel):
    """An answer."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Literal["completed", "incomplete", "in_progress", "failed"]
    model: str = Field(description="The one that really answered.")
    output: list[dict[str, Any]] = Field(description="A message, or calls of functions.")
    error: dict[str, Any] | None
    incomplete_details: dict[str, str] | None
    usage: dict[str, Any] | None
    ocelli: LevelExtension | None = Field(
        None,
        exclude_if=lambda extension: extension is None,
        description="Only where the model's name has a level, as in `ocelli-local:standard`.",
    )


class InputItems(BaseModel):
    """What was new in a request."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedResponse(BaseModel):
    """It is gone."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True
