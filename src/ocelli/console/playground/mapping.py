"""Between the form of the playground, the use cases, and what its template shows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ocelli.console.api_requests import ApiRequest
from ocelli.domain.analysis import VerificationLevel, error_of
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.languages import DEFAULT, LANGUAGES
from ocelli.domain.questions import MAX_PROMPT, Question, Role
from ocelli.usecases.adhoc import StoredSource, UrlSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.claims import Tokens
    from ocelli.domain.images import Image
    from ocelli.usecases.adhoc import Source

FIELDS = ("picture", "url", "role", "language", "prompt", "level", "backend")
PICTURES = 50  # of the library, that the form offers


@dataclass(frozen=True, slots=True)
class Ask:
    """Who is asked, and how thoroughly."""

    backend: str
    level: VerificationLevel


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an ask; ``error`` is a sentence where nothing did."""

    ask: Ask
    analysis: Analysis
    error: str | None
    tokens: int
    dollars: float | None

    @property
    def raw(self) -> str:
        """All that is known of the answer, as JSON."""
        shown = {
            name: value
            for name, value in asdict(self.analysis).items()
            if name not in ("tenant_id", "object_key", "storage_target", "request_id", "name")
        }
        return json.dumps(shown, indent=2, ensure_ascii=False, default=_plain)


def question(fields: Mapping[str, str]) -> Question:
    """Return what a form asks; each ask adds its backend. Raises ValidationFailed."""
    prompt = fields.get("prompt", "").strip()
    if len(prompt) > MAX_PROMPT:
        raise ValidationFailed(
            f"A prompt has at most {MAX_PROMPT:,} characters; this one has {len(prompt):,}.",
            field="prompt",
        )
    language = fields.get("language") or DEFAULT
    if language not in LANGUAGES:
        raise ValidationFailed(f"There is no language {language[:64]!r} here.", field="language")
    try:
        role = Role(fields.get("role") or Role.GENERAL)
    except ValueError:
        raise ValidationFailed("Choose the role from the list.", field="role") from None
    return Question(role=role, language=language, prompt=prompt or None)


def ask(backend: str, level: str, backends: Sequence[str]) -> Ask:
    """Return an ask. Raises ValidationFailed."""
    if backend not in backends:
        raise ValidationFailed(
            f"No backend {backend[:64]!r} is configured here; there are {', '.join(backends)}.",
            field="backend",
        )
    try:
        return Ask(backend, VerificationLevel(level))
    except ValueError:
        raise ValidationFailed("Choose the level from the list.", field="level") from None


def source(fields: Mapping[str, str], image: Image | None) -> Source:
    """Return the picture that a form names. Raises ValidationFailed without one."""
    if image is not None:
        return StoredSource(image.object_key)
    url = fields.get("url", "").strip()
    if not url:
        raise ValidationFailed(
            "Choose a picture: a file, one of the library, or an address.", field="picture"
        )
    return UrlSource(url)


def answer(asked: Ask, analysis: Analysis, cost: Callable[[str, Tokens], float | None]) -> Answer:
    """Return what came of an ask."""
    error = error_of(analysis)
    costs = [cost(each.source, each.tokens) for each in analysis.calls]
    known = [each for each in costs if each is not None]
    return Answer(
        asked,
        analysis,
        error.message if error else None,
        sum(each.tokens.prompt + each.tokens.completion for each in analysis.calls),
        sum(known) if len(known) == len(costs) else None,
    )


def api_request(asked: Question, one: Ask | None, url: str = "") -> ApiRequest:
    """Return the request that asks the same about a picture at an address."""
    image = url or "https://example.com/picture.jpg"
    options: dict[str, Any] = {
        "providers": [one.backend] if one else None,
        "verification_level": one.level.value if one else None,
        "role": asked.role.value,
        "language": asked.language,
        "prompt": asked.prompt,
    }
    options = {name: value for name, value in options.items() if value}
    return ApiRequest(
        "Describe a picture",
        "POST",
        "/api/v2/describe",
        "describe",
        {"image": image, **options},
        body={"image_url": image, **options},
    )


def _plain(value: object) -> object:
    return sorted(map(str, value)) if isinstance(value, frozenset) else str(value)
