"""Bodies of Ollama's API.

``null`` is the same as absent, fields that are not listed are ignored. Answers leave out what they
do not know.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from ocelli.api.verified import LevelExtension
from ocelli.domain.images import FORMATS

Flag = Annotated[bool, Field(strict=True)]

_PICTURES = f"In base64, with or without `data:image/...;base64,` before it: {FORMATS}."


class Named(BaseModel):
    """A model by its name: ``NAME``, or ``NAME:latest``."""

    model_config = ConfigDict(extra="ignore")

    model: str | None = Field(None, max_length=256, description="See GET /api/tags.")
    name: str | None = Field(None, max_length=256, description="The same, as older clients say.")


MAX_TEXTS = 2048


class EmbedRequest(Named):
    """Texts to embed."""

    input: str | list[str] | None = Field(
        None, description=f"A text, or at most {MAX_TEXTS:,}.", examples=["a red car at night"]
    )
    truncate: bool | None = Field(
        None,
        description="Whether a text that is too long is cut (default), or refused.",
    )
    dimensions: int | None = Field(
        None, ge=1, description="Only the first so many numbers, scaled to length 1 again."
    )


class EmbeddingsRequest(Named):
    """A text to embed, as older clients ask."""

    prompt: str | None = Field(None, examples=["a red car at night"])


class PullRequest(Named):
    """A model to be fetched."""

    stream: Flag | None = None


class OllamaRequest(BaseModel):
    """What both ways of asking have in common."""

    model_config = ConfigDict(extra="ignore")

    model: str | None = Field(None, max_length=256, description="See GET /api/tags.")
    stream: Flag | None = Field(None, description="One JSON object per line. Default: true.")
    # Read by ocelli.api.ollama.mapping, which says what is wrong as Ollama does.
    format: SkipValidation[Literal["", "json"] | dict[str, Any] | None] = Field(
        None, description="`json`, or a JSON Schema that the answer is to follow."
    )
    options: SkipValidation[dict[str, Any] | None] = Field(
        None,
        description="`num_predict` and `stop`; for a backend also `temperature`, `top_p`, `seed`, "
        "`presence_penalty`, `frequency_penalty`. Others are ignored.",
    )
    keep_alive: SkipValidation[float | str | None] = Field(
        None, description="Zero answers a request without a prompt with `unload`; else ignored."
    )
    think: SkipValidation[bool | str | None] = Field(None, description="Ignored.")
    logprobs: SkipValidation[bool | None] = Field(None, description="Not to be had.")


class GenerateRequest(OllamaRequest):
    """A prompt and its pictures."""

    prompt: str | None = Field(None, description="Without one the model is only loaded.")
    images: SkipValidation[list[str] | None] = Field(None, description=_PICTURES)
    system: str | None = None
    suffix: str | None = Field(None, description="Not to be had.")
    raw: SkipValidation[bool | None] = Field(None, description="Ignored, as is `template`.")


class OllamaMessage(BaseModel):
    """One turn."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    images: list[str] | None = Field(None, description=_PICTURES)
    tool_calls: list[dict[str, Any]] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OllamaChatRequest(OllamaRequest):
    """A conversation to be continued."""

    messages: SkipValidation[list[OllamaMessage] | None] = Field(
        None, description="Without any the model is only loaded."
    )
    tools: SkipValidation[list[dict[str, Any]] | None] = Field(
        None, description="For a backend; `ocelli-local` cannot choose among tools."
    )


class Counters(BaseModel):
    """Of the last line alone: durations in nanoseconds, counts of tokens."""

    done_reason: Literal["stop", "length", "load", "unload"] | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None
    ocelli: LevelExtension | None = Field(
        None, description="Only where the model's name has a level, as in `ocelli-local:standard`."
    )


class GenerateAnswer(Counters):
    """A line of an answer, or all of it."""

    model: str = Field(description="As the request called it.")
    created_at: str
    response: str
    thinking: str | None = None
    done: bool


class OllamaAnswerMessage(BaseModel):
    """What is answered."""

    role: Literal["assistant"] = "assistant"
    content: str
    thinking: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class OllamaChatAnswer(Counters):
    """A line of an answer, or all of it."""

    model: str = Field(description="As the request called it.")
    created_at: str
    message: OllamaAnswerMessage
    done: bool


class ModelDetails(BaseModel):
    """What Ollama says of the file of a model; here there is none."""

    parent_model: str = ""
    format: str = ""
    family: str = ""
    families: list[str] | None = None
    parameter_size: str = ""
    quantization_level: str = ""


class TaggedModel(BaseModel):
    """One name that a request may use."""

    name: str
    model: str
    modified_at: str
    size: int = 0
    digest: str
    details: ModelDetails
    capabilities: list[str]


class TagList(BaseModel):
    """All names."""

    models: list[TaggedModel]


class RunningModel(BaseModel):
    """A model that can be asked right now, as all can."""

    name: str
    model: str
    size: int = 0
    digest: str
    details: ModelDetails
    expires_at: str
    size_vram: int = 0
    context_length: int


class RunningList(BaseModel):
    """All of them."""

    models: list[RunningModel]


class ShownModel(BaseModel):
    """What there is to say about a model."""

    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    license: str = ""
    details: ModelDetails
    model_info: dict[str, str | int]
    capabilities: list[str]
    modified_at: str


class Version(BaseModel):
    """Which version of Ollama's API this is like."""

    version: str


class Embedded(BaseModel):
    """Vectors of length 1, in the order of the texts. Times in nanoseconds."""

    model: str
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int = 0
    prompt_eval_count: int = Field(description="Tokens that were read.")


class EmbeddedPrompt(BaseModel):
    """The vector of the prompt."""

    embedding: list[float]


class PullStatus(BaseModel):
    """What became of it."""

    status: str
