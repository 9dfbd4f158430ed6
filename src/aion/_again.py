"""Pictures that the server has already, and that are to be described again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aion._batch import in_chunks
from aion._errors import is_not_offered
from aion.exceptions import AionvisionError
from aion.types.common import DescriptionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aion._http import Http
    from aion.types.upload import UploadResult

MAX_IDS = 500  # of one request


def is_wanted_again(result: UploadResult, level: str | None) -> bool:
    """Whether a known picture lacks what an upload at this level asks for.

    That is a description: it was called off, or failed and may succeed. Or one of this level.
    """
    if result.description_status is DescriptionStatus.SKIPPED:
        return True
    if result.is_failed:
        return bool(result.description_is_retryable)
    if level is None:
        return False
    # Of one that is under way the server knows the level, and does not do the same twice.
    return result.is_pending or result.verification_level not in (None, level)


async def describe_again(
    http: Http,
    results: Mapping[str, UploadResult],
    level: str | None,
    vocabulary: Mapping[str, str],
    policy: str | None = None,
) -> dict[str, UploadResult]:
    """The same results by id, after asking for the descriptions that are wanted again.

    Those are pending. A server without that route leaves all as they are.
    """
    found = dict(results)
    ids = [id for id, result in found.items() if is_wanted_again(result, level)]
    for chunk in in_chunks(ids, MAX_IDS):
        body: dict[str, Any] = {"ids": chunk, **vocabulary}
        if level is not None:
            body["verification_level"] = level
        if policy is not None:
            body["escalation_policy"] = policy
        try:
            await http.json("POST", "/user-files/describe", json=body)
        except AionvisionError as error:
            if not is_not_offered(error):
                raise
            return dict(results)
        for id in chunk:
            found[id] = replace(
                found[id],
                description_status=DescriptionStatus.PENDING,
                description_error=None,
                description_error_type=None,
                description_is_retryable=None,
                redescribed=True,
            )
    return found
