"""The names of chat models, and which backends answer for them.

``NAME:LEVEL`` is the model NAME with descriptions verified at that level. A name that is known as a
whole (``qwen3-vl:2b``, an alias ``x:quick``) is that name, whatever stands behind its colon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.chat_errors import ModelNotFound
from ocelli.domain.findings import LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocelli.domain.ports_chat import ChatUpstream, ChatUpstreams

DEFAULT = "default"
LEVELS = {level.value: level for level in VerificationLevel}


@dataclass(frozen=True, slots=True)
class ChatModel:
    """A name that a request may use; ``alias_of`` is the model that it stands for.

    ``is_local``: the local model answers. ``level``: its descriptions are verified at that level.
    """

    id: str
    owner: str
    is_local: bool
    alias_of: str | None = None
    level: VerificationLevel | None = None


@dataclass(frozen=True, slots=True)
class ChatTarget:
    """Who answers for a name: ``upstreams``, to be tried in order; empty: the local model.

    ``backend`` is the name of the first. ``level`` is that of descriptions, None without one.
    """

    backend: str
    upstreams: tuple[ChatUpstream, ...]
    level: VerificationLevel | None = None


class ChatModels:
    """Resolves names of backends, of their models, aliases, and each of these with a level.

    ``default`` is such a name; None is the first backend, and ``ocelli-local`` where there is none.
    An alias may stand for ``default``. ``fallback`` are backends that are tried, in this order,
    where the one that was asked for fails; those that have no key are not.
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
        self._backends = tuple(self._named)
        for each in found:
            self._named.setdefault(each.model, each)
        default = default or (found[0].name if found else LOCAL)
        self.default = default
        self._aliases: dict[str, str] = {}
        targets = {
            alias: default if target == DEFAULT else target
            for alias, target in aliases.items()
            if alias not in self._named
        }
        unknown = {each for each in (default, *targets.values()) if self._find(each) is None}
        if unknown:
            raise ValueError(
                f"no such chat model or backend: {', '.join(sorted(unknown))}; there are: "
                f"{', '.join(self._named)}, each also with a level, as in {LOCAL}:standard"
            )
        self._aliases = targets
        self._fallback = [each for name in fallback if (each := self._named.get(name)) is not None]

    @property
    def default_is_local(self) -> bool:
        """Whether the local model answers for ``default``: no language model is configured."""
        return not self.resolve(self.default).upstreams

    def resolve(self, name: str) -> ChatTarget:
        """Return who answers for ``name``. Raises ModelNotFound."""
        found = self._find(name)
        if found is None:
            raise _unknown(name)
        upstream, level = found
        if upstream is None:
            return ChatTarget(LOCAL, (), level)
        others = (each for each in self._fallback if each is not upstream)
        return ChatTarget(upstream.name, (upstream, *others), level)

    def all(self) -> list[ChatModel]:
        """Return all names, those with a level of backends alone: of others they are understood."""
        return [*self._plain(), *self._leveled(), *map(self._alias, self._aliases)]

    def get(self, id: str) -> ChatModel:
        """Return the model of this name. Raises ModelNotFound."""
        for model in self.all():
            if model.id == id:
                return model
        if self._find(id) is None:
            raise _unknown(id)
        return self._alias(id)

    def _plain(self) -> Iterator[ChatModel]:
        for name, upstream in self._named.items():
            yield ChatModel(name, _owner(upstream), upstream is None)

    def _leveled(self) -> Iterator[ChatModel]:
        known = {model.id: model for model in self._plain()}
        for name in self._backends:
            for level in VerificationLevel:
                id = f"{name}:{level}"
                if id not in self._named and id not in self._aliases:
                    yield replace(known[name], id=id, level=level)

    def _alias(self, id: str) -> ChatModel:
        found = self._find(id)
        assert found is not None
        upstream, level = found
        model = LOCAL if upstream is None else upstream.model
        of = f"{model}:{level}" if level else model
        return ChatModel(id, _owner(upstream), upstream is None, of, level)

    def _find(self, name: str) -> tuple[ChatUpstream | None, VerificationLevel | None] | None:
        """Return upstream and level of ``name``; None if there is no such name."""
        found = self._known(name)
        if found is not None:
            return found
        base, _, suffix = name.rpartition(":")
        known = self._known(base)
        if known is None or suffix not in LEVELS:
            return None
        return known[0], LEVELS[suffix]

    def _known(self, name: str) -> tuple[ChatUpstream | None, VerificationLevel | None] | None:
        """The same for a name that is known as a whole."""
        if name in self._named:
            return self._named[name], None
        return self._find(self._aliases[name]) if name in self._aliases else None


def _owner(upstream: ChatUpstream | None) -> str:
    return "ocelli" if upstream is None else upstream.name


def _unknown(name: str) -> ModelNotFound:
    return ModelNotFound(
        f"The model {name[:200]!r} does not exist here. GET /v1/models lists those that do.",
        param="model",
    )
