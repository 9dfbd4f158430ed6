"""Names and cards of models as Ollama's clients know them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ocelli.api.ollama import schemas
from ocelli.domain.chat import MAX_CONTEXT
from ocelli.domain.chat_errors import ModelNotFound

if TYPE_CHECKING:
    from ocelli.usecases.chat_models import ChatModel, ChatModels

LATEST = ":latest"
RELEASED = "2026-01-01T00:00:00Z"  # a date that never changes, for clients that sort by it
NEVER = "2100-01-01T00:00:00Z"  # when a model that is always there is put away
ARCHITECTURE = "ocelli"


def find(models: ChatModels, name: str) -> ChatModel:
    """The model that a client means, in any case of its letters, with ``:latest`` or without.

    Raises ModelNotFound in Ollama's words.
    """
    known = {each.id: each for each in models.all()}
    folded = {id.casefold(): each for id, each in known.items()}
    any_case = name.casefold()
    for names, wanted in (
        (known, name),
        (known, name.removesuffix(LATEST)),
        (folded, any_case),
        (folded, any_case.removesuffix(LATEST)),
    ):
        if wanted in names:
            return names[wanted]
    raise ModelNotFound(f"model '{name[:200]}' not found")


def tags(models: ChatModels) -> schemas.TagList:
    """Every name that ``model`` may be, aliases too."""
    return schemas.TagList(
        models=[
            schemas.TaggedModel(
                name=_tagged(each.id),
                model=_tagged(each.id),
                modified_at=RELEASED,
                digest=_digest(each),
                details=_details(each),
                capabilities=_capabilities(each),
            )
            for each in models.all()
        ]
    )


def running(models: ChatModels) -> schemas.RunningList:
    """All: none has to be loaded first."""
    return schemas.RunningList(
        models=[
            schemas.RunningModel(
                name=_tagged(each.id),
                model=_tagged(each.id),
                digest=_digest(each),
                details=_details(each),
                expires_at=NEVER,
                context_length=MAX_CONTEXT,
            )
            for each in models.all()
        ]
    )


def shown(model: ChatModel) -> schemas.ShownModel:
    """One of them."""
    return schemas.ShownModel(
        details=_details(model),
        model_info={
            "general.architecture": ARCHITECTURE,
            "general.basename": model.id,
            f"{ARCHITECTURE}.context_length": MAX_CONTEXT,
        },
        capabilities=_capabilities(model),
        # LiteLLM looks for this word to know whether a model takes tools.
        template="{{ .Prompt }}" if model.is_local else "{{ .Prompt }} {{ .tools }}",
        modified_at=RELEASED,
    )


def _capabilities(model: ChatModel) -> list[str]:
    return ["completion", "vision", *(() if model.is_local else ("tools",))]


def _details(model: ChatModel) -> schemas.ModelDetails:
    return schemas.ModelDetails(family=model.owner, families=[model.owner])


def _tagged(name: str) -> str:
    """With a tag, as Ollama's lists have them."""
    return name if ":" in name.rpartition("/")[2] else name + LATEST


def _digest(model: ChatModel) -> str:
    """Of a model's name: equal for all names of one, and never that of a file."""
    return hashlib.sha256((model.alias_of or model.id).encode()).hexdigest()
