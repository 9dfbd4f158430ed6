"""What can be done with several pictures at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from ocelli.api.services import Services
from ocelli.domain.accounts import ApiKey
from ocelli.domain.analysis import Status, VerificationLevel
from ocelli.domain.edits import Changes
from ocelli.domain.effective import effective
from ocelli.domain.errors import NotFound, OcelliError
from ocelli.domain.file_query import FileQuery
from ocelli.domain.images import Image
from ocelli.domain.paging import PageRequest
from ocelli.domain.questions import Question

MOST_SELECTED = 500


class Action(StrEnum):
    """The buttons below the grid."""

    DESCRIBE = "describe"
    RETRY = "retry"
    TAG = "tag"
    DELETE = "delete"
    COMPARE = "compare"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many pictures an action was carried out for, and for how many not."""

    done: int = 0
    left: int = 0


async def selected(services: Services, key: ApiKey, ids: Sequence[UUID]) -> Sequence[Image]:
    """Return the pictures of these ids; others' and deleted ones are left out."""
    page = await services.files.page(
        key.tenant.id, FileQuery(ids=tuple(ids)), PageRequest(MOST_SELECTED)
    )
    return page.images


async def describe(
    services: Services, key: ApiKey, ids: Sequence[UUID], level: VerificationLevel
) -> Outcome:
    """Describe again; what waits for the same answer already is left as it is."""
    question = Question(vocabulary=await services.vocabularies.for_question(key.tenant))
    done = await services.redescribe.matching(
        key.tenant, FileQuery(ids=tuple(ids)), question, level
    )
    return Outcome(done.state.batch.total, len(ids) - done.state.batch.total)


async def retry(services: Services, key: ApiKey, images: Sequence[Image]) -> Outcome:
    """Ask again what failed, as it was asked."""
    failed = [
        (image, image.analysis)
        for image in images
        if image.analysis is not None and image.analysis.status is Status.FAILED
    ]
    for image, analysis in failed:
        await services.redescribe.one(key.tenant, str(image.id), analysis.question, analysis.level)
    return Outcome(len(failed), len(images) - len(failed))


async def tag(
    services: Services, key: ApiKey, images: Sequence[Image], tags: Sequence[str]
) -> Outcome:
    """Add tags to those that each picture has; together they are the person's."""
    outcome = Outcome()
    for image in images:
        together = list(dict.fromkeys([*effective(image).tags, *tags]))
        try:
            await services.edits.update(
                key.tenant.id,
                str(image.id),
                Changes(tags=together),
                author=key.name or key.prefix,
                revision=image.revision,
            )
            outcome = replace(outcome, done=outcome.done + 1)
        except OcelliError as error:
            if error.status not in (NotFound.status, 409):
                raise
            outcome = replace(outcome, left=outcome.left + 1)
    return outcome


async def delete(services: Services, key: ApiKey, ids: Sequence[UUID]) -> Outcome:
    """Delete; what is being processed stays."""
    results = await services.files.delete_many(key.tenant.id, list(map(str, ids)))
    done = sum(each.status == "deleted" for each in results)
    return Outcome(done, len(results) - done)
