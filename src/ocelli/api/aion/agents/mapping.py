"""From the domain to the bodies of ``/agents``."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ocelli.api.aion.agents import schemas
from ocelli.api.aion.common import PREFIX
from ocelli.domain.effective import effective
from ocelli.domain.file_query import FileQuery
from ocelli.domain.images import VariantType
from ocelli.domain.pipelines import StepStatus, linked
from ocelli.domain.timestamps import moment

if TYPE_CHECKING:
    from ocelli.api.aion.files.mapping import UrlOf
    from ocelli.domain.pipelines import Step
    from ocelli.usecases.library_model import TokensUsed
    from ocelli.usecases.library_search import Found, Hit
    from ocelli.usecases.organize import Organized, Undone
    from ocelli.usecases.pipelines import PipelineRun
    from ocelli.usecases.synthesize import Synthesis

REF = "search_1"
DIGITS = 4


def filters(body: schemas.ImageSearch) -> FileQuery:
    """Return the pictures that are searched."""
    return FileQuery(
        tags=tuple(body.tags),
        ids=None if body.image_ids is None else tuple(body.image_ids),
        folder=body.folder_id,
        since=moment(body.date_from),
        before=moment(body.date_to, end_of_day=True),
    )


def image_search(
    found: Found, query: str, url_of: UrlOf, milliseconds: int
) -> schemas.ImageSearchAnswer:
    """Return the body of a search."""
    ids = [str(id) for id in found.ids]
    noun = "picture" if len(ids) == 1 else "pictures"
    rest = f" {noun} found."
    return schemas.ImageSearchAnswer(
        execution_time_ms=milliseconds,
        results=[_hit(each, url_of) for each in found.hits],
        count=len(ids),
        result_ids=ids,
        summary=f"{len(ids)}{rest}",
        summary_raw=f"[[ref:{REF}]]{rest}",
        result_refs={
            REF: schemas.ResultRef(count=len(ids), ids=ids, image_ids=ids, label=query),
        },
        search_strategy=schemas.SearchStrategy(
            mode="words" if found.words_only else "hybrid", reason=found.words_only
        ),
    )


def tokens(used: TokensUsed) -> dict[str, int | None] | None:
    """Return what an answer cost; None if no language model was asked."""
    if not used.calls:
        return None
    return {
        "input_tokens": used.input,
        "output_tokens": used.output,
        "total_tokens": used.input + used.output,
        "cache_read_input_tokens": None,
        "cache_creation_input_tokens": None,
        "call_count": used.calls,
    }


def organized(done: Organized, milliseconds: int) -> schemas.OrganizeAnswer:
    """Return the body of what a plan did."""
    return schemas.OrganizeAnswer(
        execution_time_ms=milliseconds,
        iterations=max(1, done.tokens.calls),
        token_usage=tokens(done.tokens),
        summary=done.plan.summary,
        actions=[
            schemas.FolderAction(
                action="create_and_move_files" if each.created else "move_files",
                folder_id=each.folder_id and str(each.folder_id),
                folder_name=each.folder_name,
                file_count=each.files,
            )
            for each in done.actions
        ],
        folders_created=done.folders_created,
        files_moved=done.files_moved,
        plan_id=str(done.plan.id),
        undo=f"{PREFIX}/agents/organize/{done.plan.id}/undo",
    )


def synthesis(done: Synthesis, milliseconds: int) -> schemas.SynthesizeAnswer:
    """Return the body of a report."""
    return schemas.SynthesizeAnswer(
        execution_time_ms=milliseconds,
        iterations=max(1, done.tokens.calls),
        token_usage=tokens(done.tokens),
        report=done.report.text,
        summary=done.report.summary,
        image_count=len(done.pictures),
    )


def steps(body: schemas.Pipeline) -> list[Step]:
    """Return the steps of a request. Raises ValidationFailed."""
    return linked([(each.agent, each.intent, each.depends_on) for each in body.steps])


def pipeline(run: PipelineRun, milliseconds: int) -> schemas.PipelineAnswer:
    """Return the body of a pipeline that has run."""
    return schemas.PipelineAnswer(
        success=all(each.status is StepStatus.COMPLETED for each in run.outcomes),
        nodes=[
            schemas.PipelineNode(
                node_id=secrets.token_hex(4),
                agent=each.step.agent,
                status=each.status,
                summary=each.summary,
                outputs=dict(each.outputs),
                error=each.error,
                execution_time_ms=each.milliseconds,
            )
            for each in run.outcomes
        ],
        execution_time_ms=milliseconds,
        total_waves=run.waves,
        errors=run.errors,
        token_usage=tokens(run.tokens),
    )


def undone(done: Undone) -> schemas.UndoneAnswer:
    """Return the body of what was taken back."""
    return schemas.UndoneAnswer(
        plan_id=str(done.plan_id),
        files_moved=done.files_moved,
        folders_deleted=done.folders_deleted,
        files_kept=done.files_kept,
        folders_kept=done.folders_kept,
    )


def _hit(hit: Hit, url_of: UrlOf) -> schemas.ImageHit:
    image = hit.image
    return schemas.ImageHit(
        image_id=str(image.id),
        score=round(hit.score, DIGITS),
        filename=image.filename,
        title=image.title,
        description=effective(image).description or "",
        folder_id=image.folder_id and str(image.folder_id),
        thumbnail_url=url_of(image, VariantType.SMALL),
    )
