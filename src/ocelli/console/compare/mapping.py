"""Between the form of the page, batches, and what its template shows."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ocelli.console.api_requests import ApiRequest
from ocelli.console.playground.mapping import Ask, ask
from ocelli.domain.analysis import Status, error_of
from ocelli.domain.errors import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.claims import JudgedClaim, Tokens
    from ocelli.domain.questions import Question
    from ocelli.usecases.batches import BatchState

FIELDS = ("urls", "role", "language", "prompt")
MOST_ASKS = 4  # side by side
MOST_PICTURES = 20
OFFERED = 24  # pictures of the library


@dataclass(frozen=True, slots=True)
class Cell:
    """What one ask says of one picture; ``error`` is a sentence where that is nothing.

    ``dollars`` None: the price is not known.
    """

    analysis: Analysis
    error: str | None
    tokens: int
    dollars: float | None

    @property
    def is_over(self) -> bool:
        """Whether no more will come."""
        return self.analysis.status.is_final

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.analysis.processing_ms or 0.0) / 1000


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim, and what each answer says about it: None where it does not make it."""

    text: str
    judged: Sequence[JudgedClaim | None]

    @property
    def differs(self) -> bool:
        """Whether one keeps what another dropped, or does not say."""
        return len({each is not None and each.kept for each in self.judged}) > 1


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A picture with its answers, in the order of the asks."""

    name: str
    preview: UUID
    cells: Sequence[Cell]
    differing: Sequence[ClaimRow]
    agreed: Sequence[ClaimRow]
    tags: Sequence[Sequence[tuple[str, bool]]]
    """Per answer its tags, and whether all others have them too."""


@dataclass(frozen=True, slots=True)
class Column:
    """An ask, and what its answers come to. ``confidence`` is the mean of those that have one."""

    ask: Ask
    batch_id: UUID
    answered: int
    failed: int
    total: int
    confidence: float | None
    kept: int
    dropped: int
    seconds: float
    looks: int
    tokens: int
    dollars: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it."""

    columns: Sequence[Column]
    rows: Sequence[PictureRow]

    @property
    def is_over(self) -> bool:
        """Whether every answer is there."""
        return all(each.answered + each.failed == each.total for each in self.columns)


def asks(chosen: Sequence[str], backends: Sequence[str]) -> list[Ask]:
    """Return the asks of a comparison, ``level backend`` each. Raises ValidationFailed."""
    if not 2 <= len(chosen) <= MOST_ASKS:
        raise ValidationFailed(
            f"Choose two to {MOST_ASKS} ways to ask; {len(chosen)} are chosen.", field="asks"
        )
    parts = (each.partition(" ") for each in chosen)
    return [ask(backend, level, backends) for level, _, backend in parts]


def addresses(text: str) -> list[str]:
    """Return the addresses of a form, one a line."""
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def check_number(count: int) -> None:
    """Raise ValidationFailed for no picture, and for too many."""
    if not 1 <= count <= MOST_PICTURES:
        raise ValidationFailed(
            f"Choose one to {MOST_PICTURES} pictures: files, pictures of the library, "
            f"or addresses. {count} are chosen.",
            field="pictures",
        )


def comparison(
    found: Sequence[tuple[BatchState, Sequence[Analysis]]],
    cost: Callable[[str, Tokens], float | None],
) -> Comparison:
    """Return the answers of the batches about the same pictures."""
    columns = [[_cell(each, cost) for each in analyses] for _, analyses in found]
    names = [
        str(each.get("name") or each.get("image_url") or "") for each in found[0][0].batch.inputs
    ]
    return Comparison(
        [_column(state, cells) for (state, _), cells in zip(found, columns, strict=True)],
        [_row(name, cells) for name, *cells in zip(names, *columns, strict=False)],
    )


def _cell(analysis: Analysis, cost: Callable[[str, Tokens], float | None]) -> Cell:
    error = error_of(analysis) if analysis.status.is_final else None
    costs = [cost(each.source, each.tokens) for each in analysis.calls]
    known = [each for each in costs if each is not None]
    return Cell(
        analysis,
        error.message if error else None,
        sum(each.tokens.prompt + each.tokens.completion for each in analysis.calls),
        sum(known) if len(known) == len(costs) else None,
    )


def _column(state: BatchState, cells: Sequence[Cell]) -> Column:
    done = [each for each in cells if each.analysis.status is Status.COMPLETED]
    sure = [each.analysis.confidence for each in done if each.analysis.confidence is not None]
    claims = [claim for each in done for claim in each.analysis.claims]
    dollars = [each.dollars for each in done if each.dollars is not None]
    backends = cells[0].analysis.question.backends if cells else ()
    return Column(
        Ask(backends[0] if backends else "", state.batch.level),
        state.batch.id,
        len(done),
        sum(each.is_over for each in cells) - len(done),
        len(cells),
        fmean(sure) if sure else None,
        sum(each.kept for each in claims),
        sum(not each.kept for each in claims),
        fmean(each.seconds for each in done) if done else 0.0,
        sum(each.analysis.looks for each in done),
        sum(each.tokens for each in done),
        sum(dollars) if len(dollars) == len(done) else None,
    )


def _row(name: str, cells: Sequence[Cell]) -> PictureRow:
    claims = _claim_rows([each.analysis.claims for each in cells])
    shared = set.intersection(*(set(each.analysis.tags) for each in cells))
    return PictureRow(
        name,
        cells[0].analysis.id,
        cells,
        [each for each in claims if each.differs],
        [each for each in claims if not each.differs],
        [[(tag, tag in shared) for tag in each.analysis.tags] for each in cells],
    )


def _claim_rows(answers: Sequence[Sequence[JudgedClaim]]) -> list[ClaimRow]:
    """Return the claims of all answers, those alike in one row."""
    found: dict[str, tuple[str, list[JudgedClaim | None]]] = {}
    for at, claims in enumerate(answers):
        for judged in claims:
            key = " ".join(judged.claim.text.casefold().rstrip(".").split())
            row = found.setdefault(key, (judged.claim.text, [None] * len(answers)))
            row[1][at] = judged
    return [ClaimRow(text, judged) for text, judged in found.values()]


def api_requests(asked: Question, columns: Sequence[Column]) -> list[ApiRequest]:
    """Return the requests that ask the same: one batch each."""
    images = [{"image_url": "https://example.com/picture.jpg"}]
    shown: list[Ask | None] = [each.ask for each in columns] or [None]
    return [_api_request(asked, each, images) for each in shown]


def _api_request(
    asked: Question, one: Ask | None, images: Sequence[Mapping[str, str]]
) -> ApiRequest:
    options: dict[str, Any] = {
        "providers": [one.backend] if one else None,
        "verification_level": one.level.value if one else None,
        "role": asked.role.value,
        "language": asked.language,
        "prompt": asked.prompt,
    }
    options = {name: value for name, value in options.items() if value}
    return ApiRequest(
        f"Ask {one.backend}, {one.level}" if one else "Describe several pictures",
        "POST",
        "/api/v2/batch/describe",
        "batch.submit_describe",
        options,
        positional=(images,),
        body={"images": images, **options},
    )
