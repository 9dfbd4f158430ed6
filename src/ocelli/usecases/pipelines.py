"""Run a pipeline: its steps in waves, each with the pictures of the steps that it depends on."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ocelli.domain.errors import OcelliError
from ocelli.domain.file_query import FileQuery
from ocelli.domain.pipelines import Step, StepAgent, StepOutcome, StepStatus, waves
from ocelli.domain.reports import overview, top_tags
from ocelli.domain.search import fold
from ocelli.usecases.library_model import NO_TOKENS, TokensUsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.picture_facts import PictureFacts
    from ocelli.usecases.conversations import Asking
    from ocelli.usecases.library_search import LibrarySearch
    from ocelli.usecases.organize import Organize
    from ocelli.usecases.synthesize import Synthesize

MAX_FOUND = 50  # pictures of a search
MOST_RELATED = 50
MOST_COMPARED = 200  # pictures of a cross reference
MOST_TAGS = 20


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """What came of the steps, in the order in which they ran."""

    outcomes: Sequence[StepOutcome]
    waves: int
    tokens: TokensUsed

    @property
    def errors(self) -> list[str]:
        """The errors of failed steps."""
        return [each.error for each in self.outcomes if each.error]


class Pipelines:
    """Steps of one wave run at the same time. What depends on a failed step is skipped."""

    def __init__(self, search: LibrarySearch, organize: Organize, synthesize: Synthesize) -> None:
        self._search = search
        self._organize = organize
        self._synthesize = synthesize

    async def run(
        self, asking: Asking, steps: Sequence[Step], image_ids: Sequence[UUID] | None
    ) -> PipelineRun:
        """Run all steps; ``image_ids`` are what those work on that depend on none.

        Raises NotFound for an unknown picture, before anything is done.
        """
        if image_ids is not None:
            await self._synthesize.facts(asking, "", image_ids)
        outcomes: dict[int, StepOutcome] = {}
        tokens = NO_TOKENS
        groups = waves(steps)
        for group in groups:
            runs = (self._outcome(asking, steps[n], outcomes, image_ids) for n in group)
            for n, (outcome, used) in zip(group, await asyncio.gather(*runs), strict=True):
                outcomes[n] = outcome
                tokens += used
        return PipelineRun([outcomes[n] for group in groups for n in group], len(groups), tokens)

    async def _outcome(
        self,
        asking: Asking,
        step: Step,
        before: dict[int, StepOutcome],
        seeds: Sequence[UUID] | None,
    ) -> tuple[StepOutcome, TokensUsed]:
        inputs = [before[n] for n in step.depends_on]
        if any(each.status is not StepStatus.COMPLETED for each in inputs):
            return StepOutcome(step, StepStatus.SKIPPED), NO_TOKENS
        started = time.perf_counter()
        try:
            outcome, tokens = await self._run(asking, step, inputs, seeds)
        except OcelliError as error:
            outcome, tokens = StepOutcome(step, StepStatus.FAILED, error=error.message), NO_TOKENS
        milliseconds = round((time.perf_counter() - started) * 1000)
        return replace(outcome, milliseconds=milliseconds), tokens

    async def _run(
        self,
        asking: Asking,
        step: Step,
        inputs: Sequence[StepOutcome],
        seeds: Sequence[UUID] | None,
    ) -> tuple[StepOutcome, TokensUsed]:
        sets = [each.outputs["image_ids"] for each in inputs if "image_ids" in each.outputs]
        ids = [UUID(id) for id in dict.fromkeys(id for each in sets for id in each)]
        pictures = ids if sets else seeds
        if step.agent is StepAgent.IMAGE_SEARCH:
            return await self._found(asking, step, pictures), NO_TOKENS
        if step.agent is StepAgent.FOLDER:
            return await self._sorted(asking, step, pictures)
        facts = await self._synthesize.facts(asking, step.intent, pictures)
        if step.agent is StepAgent.CROSS_REFERENCE:
            return _related(step, facts, sets), NO_TOKENS
        if step.agent is StepAgent.ANALYTICS:
            return _counted(step, facts), NO_TOKENS
        done = await self._synthesize.write(asking, step.intent, facts)
        outputs = {**_ids(facts), "text": done.report.text}
        return _completed(step, done.report.summary, outputs), done.tokens

    async def _found(
        self, asking: Asking, step: Step, within: Sequence[UUID] | None
    ) -> StepOutcome:
        filters = FileQuery(ids=None if within is None else tuple(within))
        found = await self._search.search(asking.tenant.id, step.intent, filters, limit=MAX_FOUND)
        ids = [str(each) for each in found.ids[:MAX_FOUND]]
        outputs = {"image_ids": ids, "count": len(found.ids)}
        return _completed(step, f"{len(found.ids)} pictures found.", outputs)

    async def _sorted(
        self, asking: Asking, step: Step, ids: Sequence[UUID] | None
    ) -> tuple[StepOutcome, TokensUsed]:
        planned = await self._organize.plan(asking, step.intent, image_ids=ids)
        done = await self._organize.carry_out(asking.tenant.id, planned.plan.id)
        outputs: dict[str, Any] = {
            "folders_created": done.folders_created,
            "files_moved": done.files_moved,
            "plan_id": str(planned.plan.id),
        }
        if ids is not None:
            outputs["image_ids"] = [str(each) for each in ids]
        return _completed(step, planned.plan.summary, outputs), planned.tokens


def _completed(step: Step, summary: str, outputs: dict[str, Any]) -> StepOutcome:
    return StepOutcome(step, StepStatus.COMPLETED, summary, outputs)


def _ids(pictures: Sequence[PictureFacts]) -> dict[str, Any]:
    return {"image_ids": [str(each.id) for each in pictures], "count": len(pictures)}


def _counted(step: Step, pictures: Sequence[PictureFacts]) -> StepOutcome:
    months = Counter(f"{each.shown_at:%Y-%m}" for each in pictures)
    outputs = {
        **_ids(pictures),
        "tags": dict(top_tags(pictures)[:MOST_TAGS]),
        "months": dict(sorted(months.items())),
        "described": sum(each.description is not None for each in pictures),
        "with_text": sum(bool(each.visible_text) for each in pictures),
    }
    return _completed(step, overview(pictures), outputs)


def _related(
    step: Step, pictures: Sequence[PictureFacts], sets: Sequence[Sequence[str]]
) -> StepOutcome:
    """Return which pictures share tags: of two sets across them, of one within it."""
    compared = pictures[:MOST_COMPARED]
    groups = [set(each) for each in sets] if len(sets) > 1 else []
    tags = {each.id: {fold(tag): tag for tag in each.tags if fold(tag)} for each in compared}
    found = []
    for position, one in enumerate(compared):
        for other in compared[position + 1 :]:
            together = any({str(one.id), str(other.id)} <= group for group in groups)
            shared = sorted(tags[one.id].keys() & tags[other.id].keys())
            if shared and not together:
                found.append((one, other, [tags[one.id][key] for key in shared]))
    found.sort(key=lambda each: -len(each[2]))
    relationships = [
        {"source": str(one.id), "target": str(other.id), "shared_tags": shared}
        for one, other, shared in found[:MOST_RELATED]
    ]
    outputs = {**_ids(pictures), "relationships": relationships}
    return _completed(step, f"{len(found)} pairs of pictures share tags.", outputs)
