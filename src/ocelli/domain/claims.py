"""Claims: the checkable statements of a description, and the verdicts about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ClaimType(StrEnum):
    """The kind of fact that a claim states; it decides which evidence can judge it."""

    OBJECT = "object"
    COUNT = "count"
    ATTRIBUTE = "attribute"
    RELATION = "relation"
    TEXT = "text"
    SCENE = "scene"
    OTHER = "other"


class Ruling(StrEnum):
    """What a model call, or evidence, says about a claim.

    ``UNSEEN``: the thing should be visible and was not found. ``UNKNOWN``: cannot be decided.
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
    describer's own probability for it, 0 to 1, where it has measured one.
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
    """The basis of a verdict: a model call, or evidence of the local models."""

    LOOK = "look"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement of one claim by ``source``; ``reason`` explains it in a few words.

    ``strength`` (0 to 1) is how much it can be trusted for this kind of claim; 0.5 is ordinary.
    ``belief`` is the describer's own evidence in another look of its own, 0 to 1, where it has any.
    """

    ruling: Ruling
    source: str
    reason: str = ""
    stand: Stand = Stand.LOOK
    strength: float = 0.5
    belief: float | None = None


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """A claim with its verdicts. Dropped claims (``kept`` is False) stay listed with them.

    ``probability`` that the claim is true, 0 to 1, from the verdicts (see ``verification``).
    """

    claim: Claim
    kept: bool
    probability: float
    verdicts: tuple[Verdict, ...] = ()

    @property
    def is_unknown(self) -> bool:
        """Whether all verdicts are UNKNOWN."""
        return all(verdict.ruling is Ruling.UNKNOWN for verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that a model reported; 0 where it reports none."""

    prompt: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """The result of a model call that checks claims: a verdict for each, in their order.

    ``revised`` is a description without the contradicted claims, if the model wrote one.
    """

    source: str
    model_version: str
    verdicts: tuple[Verdict, ...]
    revised: str | None = None
    tokens: Tokens = Tokens()
    model_ms: float = 0.0
