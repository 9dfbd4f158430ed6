"""Getting one group of files to the server, by the route that fits their number and size."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aion._again import describe_again
from aion._batch import existing_ids, match_answers
from aion._bodies import FileBody, Multipart
from aion._errors import is_not_offered
from aion._files import STREAM_LIMIT
from aion._retry import backoff
from aion._shape import object_of
from aion._waiting import FIRST_POLL, fetch_existing, fetch_result, fetch_session_items
from aion.exceptions import (
    AionvisionError,
    AionvisionPermissionError,
    AuthenticationError,
    QuotaExceededError,
    UploadError,
)
from aion.types.common import DescriptionStatus
from aion.types.describe import DescriptionErrorType
from aion.types.upload import ConfirmResult, PresignedUrlInfo, UploadResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aion._batch import Slot
    from aion._files import Source
    from aion._http import Http

    Found = list[tuple[Slot, Mapping[str, Any]]]

LISTING_TIMEOUT = 30.0  # seconds until a session must name the pictures that it accepted


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one file did not get in."""

    cause: AionvisionError
    kind: DescriptionErrorType = DescriptionErrorType.VALIDATION_ERROR
    retryable: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of a group."""

    arrived: list[tuple[Slot, UploadResult]] = field(default_factory=list)
    refused: list[tuple[Slot, Refusal]] = field(default_factory=list)
    session_id: str | None = None


class Sender:
    """Sends files. ``fields`` are form fields that go with every file."""

    def __init__(self, http: Http, fields: Mapping[str, str], storage_target: str) -> None:
        self._http = http
        self._fields = {
            "auto_describe": "true",
            "skip_duplicates": "true",
            "storage_target": storage_target,
            **fields,
        }
        self._storage_target = storage_target

    async def send(self, slots: list[Slot]) -> Outcome:
        """Send a group that was planned for one request.

        Raises:
            FileFailed: a file changed or vanished meanwhile; nothing is known about the others.
            AionvisionError: the request as a whole failed.
        """
        if len(slots) > 1:
            return await self._send_batch(slots)
        return Outcome([(slots[0], await self.send_one(slots[0].source, slots[0].size))])

    async def send_one(self, source: Source, size: int) -> UploadResult:
        """Send one file; its result is pending, or that of the same picture sent before."""
        if size > STREAM_LIMIT:
            return await self._send_presigned(source, size)
        body = Multipart(self._fields, [("file", source, size)])
        answer = object_of(await self._http.json("POST", "/user-files/upload/stream", body=body))
        if answer.get("skipped") and answer.get("skipped_existing_image_id"):
            existing = answer["skipped_existing_image_id"]
            result = await fetch_result(self._http, existing, source.filename)
            return (await self.again({existing: result}))[existing]
        return _pending(answer, source)

    async def again(self, known: Mapping[str, UploadResult]) -> dict[str, UploadResult]:
        """Have those that are wanted again described again; see ``_again``."""
        return await describe_again(
            self._http,
            known,
            self._fields.get("verification_level"),
            self._vocabulary,
            self._fields.get("escalation_policy"),
        )

    @property
    def _vocabulary(self) -> dict[str, str]:
        names = ("vocabulary", "vocabulary_mode")
        return {name: self._fields[name] for name in names if name in self._fields}

    # --- straight to the store ---------------------------------------------------------------

    async def _send_presigned(self, source: Source, size: int) -> UploadResult:
        if self._fields.get("escalation_policy") not in (None, "none"):
            raise UploadError(
                f"{source.filename}: above 100 MB only the account's default policy counts",
                filename=source.filename,
                stage="presigned",
            )
        target = await _staged("presigned", source, self._request_url(source, size))
        try:
            await _staged("upload", source, self._put(target, source, size))
        except UploadError as error:
            if not isinstance(error.__cause__, AionvisionPermissionError):
                raise
            # The address expired on the way: one more, with its own.
            target = await _staged("presigned", source, self._request_url(source, size))
            await _staged("upload", source, self._put(target, source, size))
        confirmed = await _staged("confirm", source, self._confirm(target, size))
        return UploadResult(confirmed.upload_id, source.filename, confirmed.object_key)

    async def _request_url(self, source: Source, size: int) -> PresignedUrlInfo:
        request = {
            "filename": source.filename,
            "content_type": source.content_type,
            "size_bytes": size,
            "purpose": "image_analysis",
            "storage_target": self._storage_target,
        }
        level = self._fields.get("verification_level")
        if self._fields.get("escalation_policy") == "none":
            level = level or "standard"  # a named level keeps the default policy away
        if level:
            request["verification_level"] = level
        request |= self._vocabulary
        path = "/uploads/request-presigned-url"
        return PresignedUrlInfo.from_api_response(await self._http.json("POST", path, json=request))

    async def _put(self, target: PresignedUrlInfo, source: Source, size: int) -> None:
        await self._http.put(
            target.upload_url,
            FileBody(source, size, source.content_type),
            method=target.upload_method,
            headers=target.upload_headers,
        )

    async def _confirm(self, target: PresignedUrlInfo, size: int) -> ConfirmResult:
        request = {"object_key": target.object_key, "size_bytes": size}
        answer = await self._http.json("POST", "/uploads/confirm", json=request)
        return ConfirmResult.from_api_response(answer)

    # --- many in one request -----------------------------------------------------------------

    async def _send_batch(self, slots: list[Slot]) -> Outcome:
        body = Multipart(self._fields, [("files", s.source, s.size) for s in slots])
        path = "/user-files/upload/stream-batch"
        answer = object_of(await self._http.json("POST", path, body=body), "session_id")
        outcome = Outcome(session_id=answer["session_id"])
        for slot, item in match_answers(answer.get("rejections") or [], slots):
            outcome.refused.append((slot, _refusal(slot, item, item.get("reason"))))
        refused = {slot.index for slot, _ in outcome.refused}
        accepted = [slot for slot in slots if slot.index not in refused]
        await self._name_accepted(outcome, accepted, answer.get("immediate_results") or [])
        return outcome

    async def _name_accepted(
        self, outcome: Outcome, accepted: list[Slot], items: list[dict[str, Any]]
    ) -> None:
        """Find the picture of every accepted file: in the answer, or in the session's results."""
        found = match_answers(items, accepted)
        if len(found) < len(accepted) and outcome.session_id:
            found = await self._listed(outcome.session_id, accepted)
        if len(found) < len(accepted):
            found += await self._by_hash(accepted, {slot.index for slot, _ in found})
        deadline, delay = time.monotonic() + LISTING_TIMEOUT, FIRST_POLL
        while len(found) < len(accepted) and outcome.session_id and time.monotonic() < deadline:
            await asyncio.sleep(delay)
            delay = backoff(delay, 2.0)
            found = await self._listed(outcome.session_id, accepted)
        await self._sort(outcome, found)
        listed = {slot.index for slot, _ in found}
        for slot in accepted:
            if slot.index not in listed:
                outcome.refused.append((slot, _unlisted(slot, outcome.session_id)))

    async def _listed(self, session_id: str, accepted: list[Slot]) -> Found:
        return match_answers(await fetch_session_items(self._http, session_id), accepted)

    async def _by_hash(self, accepted: list[Slot], known: set[int]) -> Found:
        """A session may list a file only once it is described; its content is known at once."""
        slots = [slot for slot in accepted if slot.index not in known]
        try:
            body = {"hashes": [slot.sha256 for slot in slots]}
            ids = existing_ids(
                await self._http.json("POST", "/uploads/check-duplicates", json=body)
            )
        except AionvisionError as error:
            if not is_not_offered(error):
                raise
            return []
        return [(slot, {"image_id": ids[slot.sha256]}) for slot in slots if slot.sha256 in ids]

    async def _sort(self, outcome: Outcome, found: Found) -> None:
        existing: dict[str, Slot] = {}
        for slot, item in found:
            if item.get("status") == "skipped" or item.get("skipped"):
                existing[item.get("skipped_existing_image_id") or item["image_id"]] = slot
            elif item.get("status") == "failed" and not item.get("image_id"):
                reason = item.get("error") or item.get("error_message")
                outcome.refused.append((slot, _refusal(slot, item, reason)))
            else:
                outcome.arrived.append((slot, _pending(item, slot.source)))
        names = {image_id: slot.source.filename for image_id, slot in existing.items()}
        results = await self.again(await fetch_existing(self._http, names))
        for image_id, slot in existing.items():
            if image_id in results:
                outcome.arrived.append((slot, results[image_id]))
            else:
                outcome.refused.append((slot, _unlisted(slot, outcome.session_id)))


def _pending(answer: Mapping[str, Any], source: Source) -> UploadResult:
    return UploadResult(
        image_id=object_of(answer, "image_id")["image_id"],
        filename=source.filename,
        object_key=answer.get("object_key") or "",
        description_status=DescriptionStatus.PENDING,
    )


def _refusal(slot: Slot, item: Mapping[str, Any], reason: str | None) -> Refusal:
    retryable = bool(item.get("retryable", item.get("is_retryable", False)))
    usual = DescriptionErrorType.UNKNOWN if retryable else DescriptionErrorType.VALIDATION_ERROR
    kind = next((k for k in DescriptionErrorType if k == item.get("error_type")), usual)
    message = reason or "the server refused it and gave no reason"
    return Refusal(
        UploadError(message, filename=slot.source.filename, stage="upload"), kind, retryable
    )


def _unlisted(slot: Slot, session_id: str | None) -> Refusal:
    error = UploadError(
        "the server took the file but does not list it",
        filename=slot.source.filename,
        stage="session_results",
        session_id=session_id,
    )
    return Refusal(error, DescriptionErrorType.UNKNOWN, retryable=True)


async def _staged(stage: str, source: Source, work: Any) -> Any:
    """Await one step of a presigned upload; an error says which step it was."""
    try:
        return await work
    except (QuotaExceededError, AuthenticationError):
        raise
    except AionvisionError as error:
        raise UploadError(
            f"{source.filename}: {error.message}",
            filename=source.filename,
            stage=stage,
            details={**error.details, "cause": error.code},
        ) from error
