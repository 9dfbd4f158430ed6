"""A model behind the OpenAI chat protocol, as one of the backends that look at pictures."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ocelli.backends.chat import prompts, replies
from ocelli.backends.chat.failures import timed_out, unusable
from ocelli.backends.chat.telemetry import observed
from ocelli.backends.text_length import at_most
from ocelli.domain.claims import ClaimCheck, Verdict
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.findings import Box, Brand, Feature, Findings, Safety, Tag, TextLine
from ocelli.domain.questions import MAX_PROMPT
from ocelli.domain.tagging import OfferedTags

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocelli.backends.chat.client import ModelReply
    from ocelli.backends.chat.pictures import DataUrls
    from ocelli.backends.chat.telemetry import CallOutcome
    from ocelli.backends.config import BackendConfig
    from ocelli.backends.plugins import BackendContext
    from ocelli.domain.claims import Claim, JudgedClaim, Tokens
    from ocelli.domain.ports_backends import PictureLike
    from ocelli.domain.questions import Question
    from ocelli.domain.tagging import TagVocabulary

T = TypeVar("T")

CAPABILITIES = frozenset(
    {Feature.DESCRIPTIONS, Feature.TAGS, Feature.TEXTS, Feature.NSFW, Feature.BRANDS}
)
# The scores of a model's tags are not measured, so all are the same. Their order is by fit.
WORD = 0.9
WHOLE = Box(0.0, 0.0, 1.0, 1.0)  # it reads, and does not say where
LOOKS = {1: "check", 2: "judge"}
# Terms of one call: OpenAI takes enums of up to 250 values whatever their length, longer ones of
# 15,000 characters in all (see docs/decisions/0044-choosing-while-describing.md).
MOST_TERMS, MOST_CHARACTERS = 250, 15_000


class Client(Protocol):
    """Who carries messages to a model."""

    async def complete(
        self, messages: list[dict[str, Any]], schema: Mapping[str, Any], outcome: CallOutcome
    ) -> ModelReply:
        """Return the model's answer to the messages. Raises AnalysisFailed."""
        ...


class ChatBackend:
    """``ocelli.domain.ports_backends.Backend`` for a model that takes messages.

    ``client`` carries them to it: over HTTP, or into this process. ``urls`` is shared by all.
    """

    capabilities = CAPABILITIES

    def __init__(self, config: BackendConfig, client: Client, urls: DataUrls) -> None:
        self.config = config
        self.name = config.name
        self.client = client
        self._urls = urls

    @property
    def model_version(self) -> str:
        """The model, the versions of the prompts, and how large it sees the picture."""
        names = (prompts.DESCRIBE, prompts.CHECK, prompts.JUDGE, prompts.ROLES)
        versions = "+".join(name.rpartition(".")[0] for name in names)
        sides = f"{self.config.max_side}/{self.config.full_side}"
        return f"{self.config.model}+{versions}+{prompts.fingerprint()}+{sides}"

    def cost(self, tokens: Tokens) -> float | None:
        """Return the cost in US dollars; None if the prices are unknown."""
        return self.config.prices.cost(tokens)

    async def look(
        self, picture: PictureLike, question: Question, *, thorough: bool = False
    ) -> Findings:
        """See ports_backends.Backend."""
        _check(question)
        offered = bool(question.vocabulary and question.vocabulary.terms)
        with observed(self.config, "describe") as outcome:
            found = await self._ask(
                prompts.text(prompts.DESCRIBE),
                prompts.to_describe(question),
                replies.description_schema(question.vocabulary),
                await self._image(picture, thorough=thorough),
                outcome,
                lambda said, nonce: replies.described(
                    said.text, nonce, is_cut=said.is_cut, offered=offered
                ),
            )
            if found is None:
                raise unusable(self.name, "gave no description.", retryable=True)
        limit = None if question.prompt else prompts.limit(question.role)
        return Findings(
            source=self.name,
            model_version=self.model_version,
            texts=tuple(TextLine(line, WORD, WHOLE) for line in found.visible_text),
            tags=tuple(Tag(name, WORD) for name in found.tags),
            brands=tuple(Brand(name, WORD) for name in found.brands),
            safety=None if found.nsfw is None else Safety(found.nsfw),
            description=at_most(found.description, limit),
            claims=found.claims,
            tokens=outcome.tokens,
            model_ms=outcome.milliseconds,
        )

    def parts(self, terms: Sequence[str]) -> Sequence[Sequence[str]]:
        """See ports_backends.ChoosesTags."""
        parts: list[list[str]] = [[]]
        characters = 0
        for term in terms:
            if len(parts[-1]) == MOST_TERMS or characters + len(term) > MOST_CHARACTERS:
                parts.append([])
                characters = 0
            parts[-1].append(term)
            characters += len(term)
        return parts

    async def choose(
        self, picture: PictureLike, vocabulary: TagVocabulary, *, thorough: bool = False
    ) -> OfferedTags:
        """See ports_backends.ChoosesTags."""
        with observed(self.config, "tag") as outcome:
            tags = await self._ask(
                prompts.text(prompts.TAGS),
                prompts.to_choose(vocabulary),
                replies.tags_schema(vocabulary.terms),
                await self._image(picture, thorough=thorough),
                outcome,
                lambda said, nonce: replies.chosen(said.text, nonce),
            )
            if tags is None:
                raise unusable(self.name, "chose no tags from the list.", retryable=True)
        return OfferedTags(
            self.name, self.model_version, tags, outcome.tokens, outcome.milliseconds
        )

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
        """See ports_backends.Backend."""
        look = LOOKS.get(nth, "judge")
        with observed(self.config, look) as outcome:
            judged = await self._ask(
                prompts.text(prompts.CHECK if look == "check" else prompts.JUDGE),
                prompts.to_check(claims, description=description, evidence=evidence),
                replies.VERDICTS_SCHEMA,
                await self._image(picture, thorough=thorough),
                outcome,
                lambda said, nonce: replies.judged(said.text, nonce, claims),
            )
            if judged is None:
                raise unusable(self.name, "gave no verdict.", retryable=True)
        limit = None if question.prompt else prompts.limit(question.role)
        return ClaimCheck(
            source=self.name,
            model_version=self.model_version,
            verdicts=tuple(Verdict(ruling, self.name, why) for ruling, why in judged.rulings),
            revised=judged.revised and at_most(judged.revised, limit),
            tokens=outcome.tokens,
            model_ms=outcome.milliseconds,
        )

    def reword(
        self, findings: Findings, dropped: Sequence[Claim], question: Question
    ) -> str | None:
        """Return None: it needs a model call; the backend that checks offers a revision."""
        del findings, dropped, question
        return None

    def confidence(self, claims: Sequence[JudgedClaim]) -> float | None:
        """It knows no better than the rules."""
        del claims
        return None

    async def _ask(
        self,
        rules: str,
        task: str,
        schema: Mapping[str, Any],
        image: Mapping[str, Any],
        outcome: CallOutcome,
        read: Callable[[ModelReply, str], T | None],
    ) -> T | None:
        """Return the result of ``read`` for the answer and its nonce.

        While that is None it is asked again, as often as the settings allow retries.
        """
        try:
            async with asyncio.timeout(self.config.deadline):
                while True:
                    nonce = secrets.token_hex(4)
                    asked = {"type": "text", "text": prompts.with_nonce(task, nonce)}
                    messages: list[dict[str, Any]] = [
                        {"role": "system", "content": rules},
                        {"role": "user", "content": [image, asked]},
                    ]
                    found = read(await self.client.complete(messages, schema, outcome), nonce)
                    if found is not None or outcome.attempts > self.config.retries:
                        return found
        except TimeoutError as error:
            raise timed_out(self.name, self.config.deadline) from error

    async def _image(self, picture: PictureLike, *, thorough: bool) -> dict[str, Any]:
        """Return the picture as a part of a message."""
        config = self.config
        url = await self._urls.get(
            picture,
            side=config.side(thorough=thorough),
            quality=config.jpeg_quality,
            full=thorough,
        )
        image: dict[str, str] = {"url": url}
        if config.detail:
            image["detail"] = "high" if thorough else "auto"
        return {"type": "image_url", "image_url": image}


def _check(question: Question) -> None:
    """APIs refuse this before; a job may come from elsewhere."""
    if question.prompt and len(question.prompt) > MAX_PROMPT:
        raise AnalysisFailed(
            FailureType.VALIDATION,
            f"The prompt has {len(question.prompt):,} characters; {MAX_PROMPT:,} are the most.",
            retryable=False,
        )


def chat_backend(config: BackendConfig, context: BackendContext) -> ChatBackend:
    """The entry point ``chat``."""
    from ocelli.backends.chat.client import ChatClient

    return ChatBackend(config, ChatClient(config, context.session), context.urls)
