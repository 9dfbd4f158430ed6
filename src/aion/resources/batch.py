"""Batch jobs: ``client.batch``."""

from __future__ import annotations

import time
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from aion._paths import segment
from aion._retry import backoff
from aion.exceptions import AionvisionTimeoutError, BatchError
from aion.resources._base import Resource, flag, given, pages, require
from aion.types.batch import (
    BatchItemResult,
    BatchResults,
    BatchStatus,
    BatchStatusResult,
    BatchSubmissionResult,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from aion._http import Http
    from aion.types.batch import BatchImageInput, BatchVerifyInput
    from aion.types.vocabularies import VocabularyMode


class BatchResource(Resource):
    """Jobs over many pictures."""

    async def get_status(self, batch_id: str) -> BatchStatusResult:
        """How far a job has come.

        Raises:
            ResourceNotFoundError: no such job.
        """
        return await self._status(self._http, batch_id)

    async def _status(self, http: Http, batch_id: str) -> BatchStatusResult:
        answer = await http.json("GET", f"/batch/{segment(batch_id)}")
        return BatchStatusResult.from_api_response(answer)

    async def get_results(
        self, batch_id: str, *, include_failed: bool = True, offset: int = 0, limit: int = 100
    ) -> BatchResults:
        """One page of a job's results, 1 to 500 items.

        Raises:
            ResourceNotFoundError: no such job.
            ValidationError: ``limit`` outside 1 to 500.
        """
        return await self._page(batch_id, include_failed, limit, offset=offset)

    async def _page(
        self, batch_id: str, include_failed: bool, limit: int, **where: Any
    ) -> BatchResults:
        require(1 <= limit <= 500, "limit must be from 1 to 500", "limit")
        params = {"include_failed": flag(include_failed), "limit": limit, **where}
        answer = await self._http.json("GET", f"/batch/{segment(batch_id)}/results", params=params)
        return BatchResults.from_api_response(answer)

    async def get_all_results(
        self, batch_id: str, *, include_failed: bool = True, page_size: int = 100
    ) -> AsyncIterator[BatchItemResult]:
        """All results of a job, page by page: ``async for item in …``.

        Raises:
            ResourceNotFoundError: no such job.
        """

        async def fetch(
            where: dict[str, Any],
        ) -> tuple[Sequence[BatchItemResult], bool, str | None]:
            page = await self._page(batch_id, include_failed, page_size, **where)
            return page.results, page.pagination.has_more, page.pagination.next_cursor

        async for item in pages(fetch):
            yield item

    async def cancel(self, batch_id: str) -> None:
        """Stop a job; items under way are still finished.

        Raises:
            ValidationError: it is not pending or processing.
            ResourceNotFoundError: no such job.
        """
        await self._http.json("DELETE", f"/batch/{segment(batch_id)}")

    async def wait_for_completion(
        self,
        batch_id: str,
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        on_progress: Callable[[BatchStatusResult], Awaitable[None] | None] | None = None,
    ) -> BatchStatusResult:
        """Wait until a job has ended.

        Args:
            batch_id: the job.
            timeout: seconds; by default ``polling_timeout``.
            poll_interval: seconds between two questions; by default ``polling_interval``.
            on_progress: called with the status after each question.

        Raises:
            BatchError: it failed.
            AionvisionTimeoutError: it has not ended in time; ``last_result`` is the last status.
        """
        import asyncio

        seconds = self._config.polling_timeout if timeout is None else timeout
        interval = poll_interval or self._config.polling_interval
        deadline, delay = time.monotonic() + seconds, min(0.05, interval)
        http = self._http.patient()
        while True:
            status = await self._status(http, batch_id)
            if on_progress is not None:
                answer = on_progress(status)
                if isawaitable(answer):
                    await answer
            if status.is_terminal():
                return _checked(status)
            left = deadline - time.monotonic()
            if left <= 0:
                raise AionvisionTimeoutError(
                    f"batch {batch_id} has not ended within {seconds:g} s", last_result=status
                )
            await asyncio.sleep(min(delay, left))
            delay = backoff(delay, interval)

    async def submit_describe(
        self,
        images: Sequence[BatchImageInput],
        *,
        providers: Sequence[str] | None = None,
        prompt: str | None = None,
        role: str | None = None,
        language: str | None = None,
        max_parallel: int = 5,
        timeout_per_item: int = 30,
        rule_set_id: str | None = None,
        rules: Sequence[Any] | None = None,
        verification_level: str | None = None,
        vocabulary: str | None = None,
        vocabulary_mode: VocabularyMode | None = None,
        escalation_policy: str | Mapping[str, Any] | None = None,
    ) -> BatchSubmissionResult:
        """Describe many pictures that are not uploaded. Deprecated: use ``client.upload``.

        Args:
            images: the pictures.
            providers: which backends to ask.
            prompt: what to say instead of what ``role`` says.
            role: for whom it is written: ``general``, ``alttext``, ``caption``, ``ecommerce`` ...
            language: an English name or an ISO code.
            max_parallel: pictures at a time, 1 to 20.
            timeout_per_item: seconds per picture, 5 to 300.
            rule_set_id: rules that the server knows.
            rules: rules of one's own.
            verification_level: how thoroughly descriptions are checked; by default the server's
                choice.
            vocabulary: the id or name of one that tags are chosen from.
            vocabulary_mode: ``strict``: only its terms; ``prefer``: others too; ``off``.
            escalation_policy: the name of a policy, one for this batch alone, or ``none``; it says
                level and backends itself.

        Raises:
            ValidationError: no picture, or a value outside these.
        """
        require(bool(images), "give at least one image", "images")
        body = {"images": [image.to_dict() for image in images]}
        wording = given(
            prompt=prompt,
            role=role,
            language=language,
            vocabulary=vocabulary,
            vocabulary_mode=vocabulary_mode,
            escalation_policy=escalation_policy,
        )
        options = _options(
            providers, max_parallel, timeout_per_item, rule_set_id, rules, verification_level
        )
        return await self._submit("/batch/describe", {**body, **wording, **options})

    async def submit_verify(
        self,
        pairs: Sequence[BatchVerifyInput],
        *,
        providers: Sequence[str] | None = None,
        max_parallel: int = 5,
        timeout_per_item: int = 30,
        rule_set_id: str | None = None,
        rules: Sequence[Any] | None = None,
        verification_level: str = "standard",
    ) -> BatchSubmissionResult:
        """Check many texts against their pictures. Deprecated.

        Args:
            pairs: pictures and texts.
            providers: which backends to ask.
            max_parallel: pictures at a time, 1 to 20.
            timeout_per_item: seconds per picture, 5 to 300.
            rule_set_id: rules that the server knows.
            rules: rules of one's own.
            verification_level: how thoroughly it is checked.

        Raises:
            ValidationError: no pair, or a value outside these.
        """
        require(bool(pairs), "give at least one pair", "pairs")
        items = [{"image": pair.image.to_dict(), "text": pair.content} for pair in pairs]
        options = _options(
            providers, max_parallel, timeout_per_item, rule_set_id, rules, verification_level
        )
        return await self._submit("/batch/verify", {"image_text_pairs": items, **options})

    async def _submit(self, path: str, body: dict[str, Any]) -> BatchSubmissionResult:
        answer = await self._http.json("POST", path, json=body)
        return BatchSubmissionResult.from_api_response(answer)


def _options(
    providers: Sequence[str] | None,
    max_parallel: int,
    timeout_per_item: int,
    rule_set_id: str | None,
    rules: Sequence[Any] | None,
    verification_level: str | None,
) -> dict[str, Any]:
    require(1 <= max_parallel <= 20, "max_parallel must be from 1 to 20", "max_parallel")
    require(5 <= timeout_per_item <= 300, "timeout_per_item: 5 to 300 s", "timeout_per_item")
    return given(
        providers=None if providers is None else [*providers],
        max_parallel=max_parallel,
        timeout_per_item=timeout_per_item,
        rule_set_id=rule_set_id,
        rules=None if rules is None else [*rules],
        verification_level=verification_level,
    )


def _checked(status: BatchStatusResult) -> BatchStatusResult:
    if status.status is BatchStatus.FAILED:
        raise BatchError(
            f"batch {status.batch_id} failed ({status.failed_items} of {status.total_items} items)",
            batch_id=status.batch_id,
        )
    return status
