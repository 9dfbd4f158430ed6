"""Protocols of the backends that analyse pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.claims import Claim, ClaimCheck, JudgedClaim, Verdict
    from ocelli.domain.errors import AnalysisFailed
    from ocelli.domain.findings import Feature, Findings
    from ocelli.domain.questions import Question
    from ocelli.domain.tagging import OfferedTags, TagVocabulary


class PictureLike(Protocol):
    """A decoded picture: upright, sRGB, 8 bits, no larger than the analysis needs."""

    @property
    def pixels(self) -> Any:
        """An array of shape (height, width, 3), RGB, uint8."""
        ...

    @property
    def width(self) -> int:
        """Width of the original, upright, in pixels; ``pixels`` may be smaller."""
        ...

    @property
    def height(self) -> int:
        """Height of the original, upright, in pixels; ``pixels`` may be smaller."""
        ...

    @property
    def data(self) -> bytes:
        """The bytes of the original file, for backends that need more than ``pixels``."""
        ...


class Backend(Protocol):
    """A backend that analyses pictures. Each call of ``look`` or ``check`` is one model call."""

    @property
    def name(self) -> str:
        """The ``source`` of its answers."""
        ...

    @property
    def model_version(self) -> str:
        """The version of its models; it changes whenever answers could change."""
        ...

    @property
    def capabilities(self) -> frozenset[Feature]:
        """The features that it can answer."""
        ...

    async def look(
        self, picture: PictureLike, question: Question, *, thorough: bool = False
    ) -> Findings:
        """Describe the picture, with the claims that the description states.

        ``thorough`` asks for full resolution and detail. Raises AnalysisFailed.
        """
        ...

    async def check(
        self,
        picture: PictureLike,
        claims: Sequence[Claim],
        *,
        description: str,
        question: Question,
        evidence: Findings | None = None,
        thorough: bool = False,
        nth: int = 1,
    ) -> ClaimCheck:
        """Check these claims against the picture. ``nth`` is 1 for the check, 2 for the judge.

        ``evidence`` is what the local models found. Raises AnalysisFailed.
        """
        ...

    def reword(
        self, findings: Findings, dropped: Sequence[Claim], question: Question
    ) -> str | None:
        """Return its description without these claims; None if that needs another model call."""
        ...

    def confidence(self, claims: Sequence[JudgedClaim]) -> float | None:
        """The probability that its description is true after these judgements of its claims.

        None if it knows no better than ``domain.verification``.
        """
        ...


@runtime_checkable
class ChoosesTags(Protocol):
    """A backend that can be held to a list of terms; its ``look`` follows ``vocabulary.terms``.

    The tags of others are generated, and terms are chosen for them.
    """

    def parts(self, terms: Sequence[str]) -> Sequence[Sequence[str]]:
        """Return the terms as they are offered, a part for each call; at least one part."""
        ...

    async def choose(
        self, picture: PictureLike, vocabulary: TagVocabulary, *, thorough: bool = False
    ) -> OfferedTags:
        """Choose from ``vocabulary.terms``, in one model call. Raises AnalysisFailed."""
        ...


class Evidence(Protocol):
    """Local models that find things without describing them; they count as no model call."""

    @property
    def name(self) -> str:
        """The backend that owns the models: its own descriptions need no evidence of theirs."""
        ...

    async def gather(self, picture: PictureLike) -> Findings:
        """Return the findings in a picture. Raises AnalysisFailed."""
        ...

    def judge(self, claim: Claim, findings: Findings) -> Verdict | None:
        """Return the verdict of ``findings`` on the claim; None if they cannot decide it."""
        ...


class LocalModels(Backend, Evidence, Protocol):
    """The backend whose models are evidence about the claims of all others."""


class SightGate(Protocol):
    """Holds back the backends that have not shown that they see."""

    def held_back(self, name: str) -> str | None:
        """Return why this backend may not describe, check or judge now; None if it may."""
        ...

    def looked(self, name: str, failure: AnalysisFailed | None) -> None:
        """Count a look of this backend, which failed or not."""
        ...


class Backends(Protocol):
    """The configured backends; those that a SightGate holds back are left out but for ``names``."""

    @property
    def names(self) -> Sequence[str]:
        """The names, in the order of the settings, the local one last."""
        ...

    @property
    def default(self) -> Backend:
        """The backend that describes when a request names none."""
        ...

    def get(self, name: str) -> Backend | None:
        """Return the backend of this name; None if it is not configured, or held back."""
        ...

    def checker(self, *others: str) -> Backend:
        """Return the backend that checks claims: none of ``others``, if there is another one."""
        ...
