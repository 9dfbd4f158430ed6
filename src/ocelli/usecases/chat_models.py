"""The names of chat models, and which backends answer for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.chat_errors import ModelNotFound
from ocelli.domain.findings import LOCAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocelli.domain.ports_chat import ChatUpstream, ChatUpstreams

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ChatModel:
    """A name that a request may use; ``alias_of`` is the model that it stands for."""

    id: str
    owner: str
    alias_of: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether the local model answers."""
        return LOCAL in (self.id, self.alias_of)


class ChatModels:
    """Resolves names of backends, of their models, and aliases.

    ``default`` is a backend's or its model's name; None is the first backend, and ``ocelli-local``
    where there is none. An alias may stand for ``default``. ``fallback`` are backends that are
    tried, in this order, where the one that was asked for fails; those that have no key are not.
    """

    def __init__(
        self,
        upstreams: ChatUpstreams,
        *,
        default: str | None,
        aliases: Mapping[str, str],
        fallback: Sequence[str],
    ) -> None:
        self._named: dict[str, ChatUpstream | None] = {LOCAL: None}
        found = [each for name in upstreams.names if (each := upstreams.get(name)) is not None]
        for each in found:
            self._named.setdefault(each.name, each)
        for each in found:
            self._named.setdefault(each.model, each)
        default = default or (found[0].name if found else LOCAL)
        self._aliases = {
            alias: default if target == DEFAULT else target
            for alias, target in aliases.items()
            if alias not in self._named
        }
        unknown = {default, *self._aliases.values()} - set(self._named)
        if unknown:
            raise ValueError(
                f"no such chat model or backend: {', '.join(sorted(unknown))}; there are: "
                f"{', '.join(self._named)}"
            )
        self._fallback = [each for name in fallback if (each := self._named.get(name)) is not None]

    def resolve(self, name: str) -> list[ChatUpstream]:
        """Return the backends to try, in order; empty: the local model. Raises ModelNotFound."""
        name = self._aliases.get(name, name)
        try:
            upstream = self._named[name]
        except KeyError:
            raise _unknown(name) from None
        if upstream is None:
            return []
        return [upstream, *(each for each in self._fallback if each is not upstream)]

    def all(self) -> list[ChatModel]:
        """Return all names."""
        names = [
            ChatModel(name, "ocelli" if upstream is None else upstream.name)
            for name, upstream in self._named.items()
        ]
        for alias, target in self._aliases.items():
            upstream = self._named[target]
            answering = LOCAL if upstream is None else upstream.model
            names.append(
                ChatModel(alias, "ocelli" if upstream is None else upstream.name, answering)
            )
        return names

    def get(self, id: str) -> ChatModel:
        """Return the model of this name. Raises ModelNotFound."""
        for model in self.all():
            if model.id == id:
                return model
        raise _unknown(id)


def _unknown(name: str) -> ModelNotFound:
    return ModelNotFound(
        f"The model {name[:200]!r} does not exist here. GET /v1/models lists those that do.",
        param="model",
    )
