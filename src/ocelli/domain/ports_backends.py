"""What the use cases need of whatever looks at pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.claims import Claim, ClaimCheck, Verdict
    from ocelli.domain.findings import Feature, Findings
    from ocelli.domain.questions import Question


class PictureLike(Protocol):
    """A decoded picture: upright, sRGB, 8 bits, no larger than the analysis needs."""

    @property
    def pixels(self) -> Any:
        """An array of shape (height, width, 3), RGB, uint8."""
        ...

    @property
    def width(self) -> int:
        """Of the original, upright, in pixels; ``pixels`` may be fewer."""
        ...

    @property
    def height(self) -> int:
        """Likewise."""
        ...

    @property
    def data(self) -> bytes:
        """The file as it came, for who needs more than ``pixels`` holds."""
        ...


class Backend(Protocol):
    """Something that can look at a picture. Every call of it is one look."""

    @property
    def name(self) -> str:
        """What ``source`` says in answers."""
        ...

    @property
    def model_version(self) -> str:
        """Changes whenever the same picture could be answered otherwise."""
        ...

    @property
    def capabilities(self) -> frozenset[Feature]:
        """What it can answer."""
        ...

    async def look(
        self, picture: PictureLike, question: Question, *, thorough: bool = False
    ) -> Findings:
        """Describe, with the claims that the description states. ``thorough`` is full resolution
        and detail. Raises AnalysisFailed."""
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
        """Look again with these claims in hand. ``nth`` is 1 for the check and 2 for the judge.

        ``evidence`` is what the local models found. Raises AnalysisFailed.
        """
        ...

    def reword(
        self, findings: Findings, dropped: Sequence[Claim], question: Question
    ) -> str | None:
        """Its own description without these claims; None if that would take another look."""
        ...


class Evidence(Protocol):
    """Models that can tell what is there without describing it; they cost no look."""

    @property
    def name(self) -> str:
        """Of the backend whose models they are: to its own words they add nothing."""
        ...

    async def gather(self, picture: PictureLike) -> Findings:
        """What they find. Raises AnalysisFailed."""
        ...

    def judge(self, claim: Claim, findings: Findings) -> Verdict | None:
        """What these findings say about the claim; None if they cannot know."""
        ...


class LocalModels(Backend, Evidence, Protocol):
    """The backend whose models are evidence about the claims of all others."""


class Backends(Protocol):
    """Those that are configured."""

    @property
    def names(self) -> Sequence[str]:
        """In the order of the settings, the local one last."""
        ...

    @property
    def default(self) -> Backend:
        """The backend that describes when a request names none."""
        ...

    def get(self, name: str) -> Backend | None:
        """None if it is not configured."""
        ...

    def checker(self, *others: str) -> Backend:
        """The backend that looks again: none of ``others``, if there is another one."""
        ...
