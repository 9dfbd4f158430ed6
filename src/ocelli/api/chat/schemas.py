"""Bodies of the chat surface, field by field as OpenAI's clients know them.

``null`` is the same as absent; fields that are not listed are passed on to a configured backend,
and the local model ignores them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from ocelli.api.verified import LevelExtension
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.chat import Detail, Finish
from ocelli.domain.images import FORMATS
from ocelli.domain.sight import Sight

# Numbers may come as 300.0, not as "300".
Whole = Annotated[float, Field(strict=True, multiple_of=1, allow_inf_nan=False)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]


class ImageUrl(BaseModel):
    """Where a picture is."""

    url: str = Field(
        description=f"`https://...`, `http://...`, or `data:image/jpeg;base64,...`. {FORMATS}; "
        "what it is is judged by its bytes."
    )
    detail: Detail = Field(Detail.AUTO, description="An unknown value counts as `auto`.")


class TextPart(BaseModel):
    """Something said."""

    type: Literal["text"]
    text: str


class ImagePart(BaseModel):
    """Something shown."""

    type: Literal["image_url"]
    image_url: ImageUrl | str


class Message(BaseModel):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart | ImagePart] | None
    name: str | None = None


class JsonSchema(BaseModel):
    """A form for the answer."""

    name: str = "schema"
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(BaseModel):
    """In which form the answer is wanted."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(BaseModel):
    """For `stream: true`."""

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """A conversation to be continued."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(min_length=1, max_length=256, description="See GET /v1/models.")
    # Read by ocelli.api.chat.mapping, which names the exact place of what is wrong.
    messages: SkipValidation[list[Message]]
    max_tokens: Whole | None = Field(None, ge=1, description="Superseded by the next one.")
    max_completion_tokens: Whole | None = Field(None, ge=1)
    temperature: Number | None = Field(None, ge=0, le=2)
    top_p: Number | None = Field(None, ge=0, le=1)
    n: Whole | None = Field(None, ge=1, le=128)
    stop: str | list[str] | None = Field(None, description="Up to four; left out of the answer.")
    seed: Whole | None = None
    frequency_penalty: Number | None = Field(None, ge=-2, le=2)
    presence_penalty: Number | None = Field(None, ge=-2, le=2)
    logprobs: Flag | None = None
    top_logprobs: Whole | None = Field(None, ge=0, le=20)
    logit_bias: dict[str, float] | None = None
    response_format: SkipValidation[ResponseFormat] | None = None
    stream: Flag | None = None
    stream_options: SkipValidation[StreamOptions] | None = None
    tools: list[dict[str, Any]] | None = Field(
        None,
        description="Passed on to a backend. The local model fills the arguments of one that "
        "`tool_choice` demands, and refuses to choose.",
    )
    tool_choice: str | dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    user: Any = None


class RelayedRequest(BaseModel):
    """What we have to know of a conversation that a backend continues. It judges the rest."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(min_length=1, max_length=256)
    messages: SkipValidation[list[Any]]
    max_tokens: Any = None
    max_completion_tokens: Any = None
    stream: Flag | None = None


class FunctionCall(BaseModel):
    """Which function, and its arguments as JSON in a string."""

    name: str
    arguments: str


class ToolCall(BaseModel):
    """What the client is to call."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class AssistantMessage(BaseModel):
    """What is answered."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = Field(
        None, exclude_if=lambda calls: calls is None, description="Only where one was demanded."
    )


class Choice(BaseModel):
    """One of `n` answers."""

    index: int
    message: AssistantMessage
    logprobs: None = None
    finish_reason: Finish


class PromptDetails(BaseModel):
    """What the prompt's tokens are."""

    text_tokens: int
    image_tokens: int
    cached_tokens: int = 0


class UsageBody(BaseModel):
    """What it cost; docs/chat.md says how the local model counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class ChatCompletion(BaseModel):
    """An answer of the local model. A backend's is passed on as it comes."""

    id: str = Field(examples=["chatcmpl-9b1f8f52"])
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str = Field(description="The one that really answered.")
    choices: list[Choice]
    usage: UsageBody
    system_fingerprint: str | None = None
    ocelli: LevelExtension | None = Field(
        None,
        exclude_if=lambda extension: extension is None,
        description="Only where the model's name has a level; in a stream, in its first event.",
    )


class ModelCard(BaseModel):
    """One name that a request may use."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    alias_of: str | None = Field(None, description="Which model answers, if it is another name.")
    level: VerificationLevel | None = Field(
        None, description="At which its descriptions are verified; null: they are not."
    )
    sight: Sight | None = Field(
        None,
        description="Of a backend: whether it has shown that it sees. Conversations are passed on "
        "to it all the same; what is to be described or verified is not, but to `seeing` and "
        "`unproved` ones.",
    )


class ModelList(BaseModel):
    """All names."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class ModerationRequest(BaseModel):
    """Pictures to be judged."""

    input: SkipValidation[str | list[TextPart | ImagePart] | list[str]]
    model: str | None = None


class ModerationResult(BaseModel):
    """Of all pictures of a request together.

    A category that no model looks for is null, in `categories` and in `category_scores`.
    """

    flagged: bool
    categories: dict[str, bool | None]
    category_scores: dict[str, float | None]
    category_applied_input_types: dict[str, list[str]]


class Moderation(BaseModel):
    """The verdict of the safety model."""

    id: str = Field(examples=["modr-9b1f8f52"])
    model: str
    results: list[ModerationResult]
