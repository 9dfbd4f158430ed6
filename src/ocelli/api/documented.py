"""Errors, and bodies that routes read themselves, in the OpenAPI document.

FastAPI would make a validator of the same model for each error of each route, a thousand in all;
nothing is ever validated with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.models import OpenAPI
from pydantic.json_schema import models_json_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

REF = "#/components/schemas/"


def content(model: str, **more: Any) -> dict[str, Any]:
    """Return the OpenAPI content of a JSON body of the component ``model``."""
    return {"content": {"application/json": {"schema": {"$ref": REF + model}, **more}}}


def error_responses(
    model: type[BaseModel], texts: Mapping[int, str]
) -> dict[int | str, dict[str, Any]]:
    """Return ``responses`` of a route: for each status its description and the error body."""
    body = content(model.__name__)
    return {status: {"description": text, **body} for status, text in texts.items()}


def add_components(models: Sequence[type[BaseModel]], schema: dict[str, Any]) -> None:
    """Add the models that ``error_responses`` names, and those they use, to the document."""
    _, found = models_json_schema(
        [(model, "serialization") for model in models], ref_template=REF + "{model}"
    )
    schema["components"]["schemas"] |= found["$defs"]


def body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """For ``openapi_extra`` of a route that reads such a body, which ``add_bodies`` describes."""
    examples = {"example": {"summary": "Example", "value": example}}
    return {"requestBody": {**content(model.__name__, examples=examples), "required": True}}


def add_bodies(models: Sequence[type[BaseModel]], schema: dict[str, Any]) -> None:
    """Describe ``models`` as what is read, in FastAPI's own spelling."""
    _, bodies = models_json_schema(
        [(model, "validation") for model in models], ref_template=REF + "{model}"
    )
    added = OpenAPI(
        openapi=schema["openapi"],
        info=schema["info"],
        paths={},
        components={"schemas": bodies["$defs"]},
    ).model_dump(mode="json", by_alias=True, exclude_none=True)
    schema["components"]["schemas"] |= added["components"]["schemas"]
