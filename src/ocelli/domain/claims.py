"""What a description says, one checkable statement at a time, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ClaimType(StrEnum):
    """What kind of fact a claim states; it decides which evidence can judge it."""

    OBJECT = "object"
    COUNT = "count"
    ATTRIBUTE = "attribute"
    RELATION = "relation"
    TEXT = "text"
    SCENE = "scene"
    OTHER = "other"


class Ruling(StrEnum):
    """What a backend that looked, or evidence, says about a claim.

    ``UNSEEN`` is what should have been seen and was not; ``UNKNOWN`` what it cannot tell.
    """

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNSEEN = "unseen"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement, in a sentence of its own ("There are two cups.").

    ``subject`` is the singular noun it is about ("cup"), ``count`` how many of it for a count,
    ``value`` the colour or other attribute, or the text as read. ``sentence`` is the position of
    the description's sentence that states it; None if that is not known. ``belief`` is the
    describer's own evidence for it, 0 to 1, where it has any that is not merely its word.
    ``measured`` claims are computed from the pixels (the dominant colours): right, but no sign that
    the picture was understood.
    """

    text: str
    type: ClaimType = ClaimType.OTHER
    subject: str | None = None
    count: int | None = None
    value: str | None = None
    sentence: int | None = None
    belief: float | None = None
    measured: bool = False


class Stand(StrEnum):
    """On what ground a verdict stands."""

    LOOK = "look"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement of one claim. ``source`` names who judged, ``reason`` says in a few words why.

    ``strength`` (0 to 1) is how much it can be trusted for this kind of claim; 0.5 is ordinary.
    """

    ruling: Ruling
    source: str
    reason: str = ""
    stand: Stand = Stand.LOOK
    strength: float = 0.5


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """A claim with all that was said about it. Dropped claims are kept with their reasons.

    ``probability`` that the claim is true, 0 to 1, from the verdicts (see ``verification``).
    """

    claim: Claim
    kept: bool
    probability: float
    verdicts: tuple[Verdict, ...] = ()

    @property
    def is_unknown(self) -> bool:
        """Whether no verdict tells anything of it."""
        return all(verdict.ruling is Ruling.UNKNOWN for verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a model counted; 0 where it does not."""

    prompt: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """One look at a picture with claims in hand: a verdict for each, in their order.

    ``revised`` is the description without what was contradicted, if the model wrote one.
    """

    source: str
    model_version: str
    verdicts: tuple[Verdict, ...]
    revised: str | None = None
    tokens: Tokens = Tokens()
    model_ms: float = 0.0
