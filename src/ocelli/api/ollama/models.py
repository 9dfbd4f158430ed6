"""Names and cards of models as Ollama's clients know them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ocelli.api.ollama import schemas
from ocelli.domain.chat import MAX_CONTEXT
from ocelli.domain.chat_errors import ModelNotFound, UnsupportedParameter
from ocelli.usecases.chat_models import LEVELS

if TYPE_CHECKING:
    from ocelli.domain.embeddings import TextEmbedder
    from ocelli.usecases.chat_models import ChatModel, ChatModels

LATEST = ":latest"
RELEASED = "2026-01-01T00:00:00Z"  # a date that never changes, for clients that sort by it
NEVER = "2100-01-01T00:00:00Z"  # when a model that is always there is put away
ARCHITECTURE = "ocelli"
_EMBEDDER = schemas.ModelDetails(family="bert", families=["bert"])
_EMBEDS = ["embedding"]


def find(models: ChatModels, name: str) -> ChatModel:
    """The model that a client means, in any case of its letters, with ``:latest`` or without.

    With a level behind it (``NAME:standard``), also one whose levels are not listed. Raises
    ModelNotFound in Ollama's words.
    """
    found = _listed(models, name)
    if found is not None:
        return found
    base, _, level = name.casefold().rpartition(":")
    plain = _listed(models, base) if level in LEVELS else None
    if plain is None or plain.level is not None:
        raise ModelNotFound(f"model '{name[:200]}' not found")
    return models.get(f"{plain.id}:{level}")


def _listed(models: ChatModels, name: str) -> ChatModel | None:
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
    return None


def is_embedder(embedder: TextEmbedder, name: str) -> bool:
    """Return whether a client means the embedder."""
    return name.casefold().removesuffix(LATEST) == embedder.name


def require_embedder(models: ChatModels, embedder: TextEmbedder, name: str) -> None:
    """Raise ModelNotFound, or UnsupportedParameter for a model that does not embed."""
    if not is_embedder(embedder, name):
        found = find(models, name)
        raise UnsupportedParameter(f"{found.id} does not support embeddings; {embedder.name} does")


def tags(models: ChatModels, embedder: TextEmbedder) -> schemas.TagList:
    """Every name that ``model`` may be, aliases too."""
    return schemas.TagList(
        models=[
            *_all_tags(models),
            schemas.TaggedModel(
                name=_tagged(embedder.name),
                model=_tagged(embedder.name),
                modified_at=RELEASED,
                digest=_digest_of(embedder.model_version),
                details=_EMBEDDER,
                capabilities=_EMBEDS,
            ),
        ]
    )


def _all_tags(models: ChatModels) -> list[schemas.TaggedModel]:
    return [
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


def running(models: ChatModels, embedder: TextEmbedder) -> schemas.RunningList:
    """All: none has to be loaded first."""
    return schemas.RunningList(
        models=[
            schemas.RunningModel(
                **each.model_dump(include={"name", "model", "digest", "details"}),
                expires_at=NEVER,
                context_length=embedder.max_tokens if each.capabilities == _EMBEDS else MAX_CONTEXT,
            )
            for each in tags(models, embedder).models
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


def shown_embedder(embedder: TextEmbedder) -> schemas.ShownModel:
    """The model of vectors."""
    return schemas.ShownModel(
        details=_EMBEDDER,
        model_info={
            "general.architecture": "bert",
            "general.basename": embedder.name,
            "bert.context_length": embedder.max_tokens,
            "bert.embedding_length": embedder.dimensions,
        },
        capabilities=_EMBEDS,
        template="{{ .Prompt }}",
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
    """Of a model's name: equal for all names of one, another for each level, and of no file."""
    return _digest_of(model.alias_of or model.id)


def _digest_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
