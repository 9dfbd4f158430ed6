"""Bodies of this surface, as its clients know them. They document; ``mapping`` writes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

ID = "267f99ce-c797-4855-807f-21b204edb7ed"
EXAMPLE_URLS = ["https://example.com/photo1.jpg", "https://example.com/photo2.jpg"]


class Parameters(BaseModel):
    """Lists may be given as a single value, and under the name with `[]` (`url[]`)."""

    url: str | list[str] | None = Field(
        None,
        description="Pictures and videos: .mp4, .webm, .mov, .mkv, .avi, or pages of YouTube, Vimeo"
        " and X. One picture, as a string, is answered at once; everything else is polled for.",
        examples=[EXAMPLE_URLS],
    )
    file: str | list[str] | None = Field(
        None, description="Pictures and videos in base64, or as data URIs; up to 20 MB each."
    )
    file_name: str | list[str] | None = Field(None, description="Names of the files, in order.")
    backend: str | list[str] | None = Field(
        None, description="Which model answers. Another answers for one that is not configured."
    )
    feature: str | list[str] | None = Field(
        None, description="descriptions, tags, colors, faces, texts, nsfw, brands. Default: all."
    )
    role: str | None = Field(None, description="For whom it is described. Default: general.")
    language: str | None = Field(None, description="Of descriptions. Default: English.")
    prompt: str | None = Field(None, description="In place of the role.")
    tag_score: float | None = Field(None, description="Least score of a tag. Default: 0.9.")
    capture_interval: int | None = Field(
        None, description="Seconds between frames of a video. Default: 1."
    )
    max_frames: int | None = Field(
        None, description="Most frames of a video, 0 for all. Default: 3."
    )


class Echo(BaseModel):
    """What was asked, as every answer repeats it."""

    request_id: str = Field(examples=[ID])
    user_id: int
    urls: list[str]
    files: int
    file_names: list[str]
    features: list[str]
    backends: list[str]
    role: str
    tag_score: float
    capture_interval: int = Field(description="0 if none was given.")
    max_frames: int


class Asset(BaseModel):
    """One picture, or one frame of a video. What was not asked for is not there."""

    name: str = Field(description="The URL as it was sent, or the file's name; `#t=` for a frame.")
    descriptions: list[dict[str, Any]] | None = None
    tags: dict[str, list[dict[str, Any]]] | None = None
    colors: dict[str, list[dict[str, Any]]] | None = None
    faces: list[dict[str, Any]] | None = None
    texts: list[dict[str, Any]] | None = None
    nsfw: list[dict[str, Any]] | None = None
    brands: dict[str, list[dict[str, Any]]] | None = None


class All(BaseModel):
    """The results, in the order of the request."""

    assets: list[Asset]
    errors: list[str] = Field(description="What went wrong without spoiling the rest.")


class Answer(Echo):
    """A request in any of its states."""

    status: Literal["queued", "processing", "completed", "failed"]
    success: bool | None = Field(None, description="When it was accepted.")
    response_uri: str | None = Field(
        None, description="Where to poll, every second or two; not in a finished answer."
    )
    credits_paid: int | None = None
    credits: int | None = Field(None, description="What is left.")
    error: str | None = Field(None, description="Why it failed.")
    all: All | None = None


class Credits(BaseModel):
    """The balance."""

    credits: int = Field(examples=[1209])
