"""Bodies of PhotoPrism's vision service, field by field as PhotoPrism knows them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ocelli.domain.questions import MAX_PROMPT

MAX_PICTURES = 20

Prompt = Annotated[str, StringConstraints(max_length=MAX_PROMPT)]
Share = Annotated[float, Field(ge=0, le=1)]


class VisionRequest(BaseModel):
    """Pictures to look at. What else PhotoPrism sends (`options`, `schema`, `org`) is ignored."""

    model_config = ConfigDict(extra="ignore")

    id: str | None = Field(None, max_length=255, description="Comes back in the answer.")
    model: str | None = Field(
        None,
        max_length=255,
        description="As in chat: a backend, or `NAME:LEVEL`. Other names stand for the default "
        "backend; `model` of the answer says which it was.",
        examples=["ocelli-local:standard"],
    )
    images: list[str] | None = Field(
        None,
        max_length=MAX_PICTURES,
        description="Data URLs, base64, or addresses to fetch from.",
        examples=[["data:image/jpeg;base64,/9j/…"]],
    )
    url: str | None = Field(None, max_length=8192, description="Instead of `images`: one address.")
    system: Prompt | None = Field(
        None, description="Before `prompt`, for captions by backends that follow prompts."
    )
    prompt: Prompt | None = Field(
        None, description="For captions. `ocelli-local` cannot follow one; labels ignore it."
    )


class ModelOut(BaseModel):
    """Who really answered."""

    type: Literal["caption", "labels", "nsfw"]
    name: str = Field(examples=["ocelli-local"])
    version: str


class Caption(BaseModel):
    """What the picture shows."""

    text: str
    source: Literal["image"] = Field("image", description="PhotoPrism's word for: was seen.")
    confidence: Share | None = Field(None, description="Probability that all of it is true.")


class Label(BaseModel):
    """A keyword."""

    name: str
    source: Literal["image"] = "image"
    confidence: Share | None = Field(None, description="Missing where the backend gives none.")
    topicality: Share | None = Field(None, description="The same: tags have one score here.")


class SafetyOut(BaseModel):
    """The safety model's judgement of one picture.

    Ocelli's model knows one probability. `Porn` and `Neutral` carry it for versions of PhotoPrism
    that read classes and no `score`.
    """

    model_config = ConfigDict(populate_by_name=True)

    status: Literal["safe", "unsafe", "unavailable"]
    score: Share | None = Field(None, description="Probability that it is not safe for work.")
    threshold: Share | None = Field(None, description="From this `score` on it is `unsafe`.")
    reason: str | None = Field(None, description="Why it is `unavailable`.")
    neutral: Share | None = Field(None, alias="Neutral")
    porn: Share | None = Field(None, alias="Porn")


class Result(BaseModel):
    """The one that was asked for."""

    caption: Caption | None = None
    labels: list[Label] | None = None
    nsfw: list[SafetyOut] | None = Field(None, description="One for each picture, in their order.")


class VisionAnswer(BaseModel):
    """An answer of the vision service."""

    id: str
    code: Literal[200] = 200
    model: ModelOut
    result: Result
