"""Uploading pictures: ``client.uploads``, and ``client.upload`` and ``client.upload_one``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aion._callbacks import Callbacks
from aion._errors import is_not_offered, raise_if_failed
from aion._files import (
    BATCH_CHUNK_SIZE,
    MAX_BATCH_FILES,
    SUPPORTED_CONTENT_TYPES,
    SUPPORTED_EXTENSIONS,
    FileFailed,
    Source,
    expand,
    one_source,
    read,
)
from aion._paths import segment
from aion.exceptions import AionvisionError, UploadError
from aion.resources._base import Resource, given, in_thread, require, upload_fields
from aion.types.common import StorageTarget, VerificationLevel
from aion.types.upload import (
    BatchConfirmResult,
    BatchPrepareResult,
    ConfirmResult,
    PresignedUrlInfo,
    QuotaInfo,
    UploadBatchStatusResult,
    UploadResult,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aion._files import File
    from aion._http import Http
    from aion.types import describe
    from aion.types.callbacks import (
        DescriptionFailedCallback,
        DescriptionProgressCallback,
        FileCompleteCallback,
        ProgressCallback,
    )
    from aion.types.upload import BatchUploadResults, FileInfo, UploadConfirmation
    from aion.types.vocabularies import VocabularyMode

__all__ = [
    "BATCH_CHUNK_SIZE",
    "MAX_BATCH_FILES",
    "SUPPORTED_CONTENT_TYPES",
    "SUPPORTED_EXTENSIONS",
    "UploadResource",
]

LOOK_UP_FROM = 1024 * 1024  # bytes; sending less is quicker than asking first


class UploadResource(Resource):
    """Uploads, high-level and step by step."""

    async def upload_one(
        self,
        file: File,
        *,
        filename: str | None = None,
        wait_for_descriptions: bool = True,
        raise_on_failure: bool = True,
        description_timeout: float | None = None,
        storage_target: StorageTarget | str = StorageTarget.DEFAULT,
        verification_level: VerificationLevel | str | None = None,
        vocabulary: str | None = None,
        vocabulary_mode: VocabularyMode | None = None,
        escalation_policy: str | None = None,
    ) -> UploadResult:
        """Upload one picture, and wait for its description.

        Up to 100 MB it is streamed to the server, above that straight to the store; either way it
        is read while it is sent. A picture that the server has already is not stored again: the
        result is that picture's, which is described again if its description was called off, may
        succeed after a failure, or is of another ``verification_level`` than the given one
        (``redescribed``).

        Args:
            file: a path, the bytes, or a file that is open for reading bytes: it is read into
                memory, from where it is to its end, and stays open.
            filename: needed for what has no name of its own, such as bytes; otherwise another
                name.
            wait_for_descriptions: whether to wait for the description.
            raise_on_failure: whether a failed description is an error.
            description_timeout: seconds to wait for it; by default ``polling_timeout``.
            storage_target: ``custom`` for your own bucket.
            verification_level: how thoroughly the description is checked; by default the
                server's choice.
            vocabulary: the id or name of one that tags are chosen from; by default that of
                ``client.tenant``. What the server has already is not described again for it.
            vocabulary_mode: ``strict``: only its terms; ``prefer``: others too; ``off``.
            escalation_policy: the name of a policy, or ``none``; it says level and backends
                itself. Files above 100 MB have the account's default policy only.

        Raises:
            ValidationError: not a supported picture, or one that the server does not accept.
            QuotaExceededError: the plan's limit is reached.
            UploadError: the file changed or vanished while it was sent, or, above 100 MB, a step
                failed (``stage``).
            DescriptionError: it could not be described, and ``raise_on_failure``.
            AionvisionTimeoutError: not described in time; ``last_result`` is what is known.
            AionvisionError: others, as for every request.
        """
        from aion._senders import Sender

        source = await in_thread(one_source, file, filename)
        fields = upload_fields(verification_level, vocabulary, vocabulary_mode, escalation_policy)
        http = self._http.patient()
        sender = Sender(http, fields, StorageTarget(storage_target).value)
        try:
            result = await self._existing(source)
            if result is not None:
                result = (await sender.again({result.image_id: result}))[result.image_id]
            else:
                result = await sender.send_one(source, await in_thread(source.size))
        except FileFailed as failed:
            name = str(source.path or source.filename)
            raise UploadError(f"{name}: {failed.reason}", filename=name, stage="upload") from failed
        if wait_for_descriptions and result.is_pending:
            redescribed = result.redescribed
            result = await self._wait(
                http, result.image_id, description_timeout, filename=source.filename
            )
            result = replace(result, redescribed=redescribed)
        if raise_on_failure:
            raise_if_failed(result)
        return result

    async def _existing(self, source: Source) -> UploadResult | None:
        """The picture, if it is large enough to ask for first and the server has it."""
        from aion._batch import existing_ids
        from aion._waiting import fetch_result

        if await in_thread(source.size) < LOOK_UP_FROM:
            return None
        reading = await in_thread(read, source)
        if reading.failure:
            raise FileFailed(source, reading.failure)
        try:
            answer = await self._http.json(
                "POST", "/uploads/check-duplicates", json={"hashes": [reading.sha256]}
            )
            image_id = existing_ids(answer).get(reading.sha256)
            return await fetch_result(self._http, image_id, source.filename) if image_id else None
        except AionvisionError as error:
            if not is_not_offered(error):
                raise
            return None

    async def _wait(
        self,
        http: Http,
        image_id: str,
        timeout: float | None,
        interval: float | None = None,
        filename: str | None = None,
    ) -> UploadResult:
        from aion._waiting import wait_for_result

        return await wait_for_result(
            http,
            image_id,
            timeout=self._config.polling_timeout if timeout is None else timeout,
            interval=interval or self._config.polling_interval,
            filename=filename,
        )

    async def upload(
        self,
        files: File | Sequence[File],
        *,
        filename: str | None = None,
        filenames: Sequence[str] | None = None,
        recursive: bool = True,
        include_hidden: bool = False,
        wait_for_descriptions: bool = True,
        raise_on_failure: bool = True,
        description_timeout: float | None = None,
        on_progress: ProgressCallback | None = None,
        on_file_complete: FileCompleteCallback | None = None,
        on_description_progress: DescriptionProgressCallback | None = None,
        on_description_failed: DescriptionFailedCallback | None = None,
        storage_target: StorageTarget | str = StorageTarget.DEFAULT,
        verification_level: VerificationLevel | str | None = None,
        vocabulary: str | None = None,
        vocabulary_mode: VocabularyMode | None = None,
        escalation_policy: str | None = None,
    ) -> BatchUploadResults:
        """Upload pictures and folders of pictures, and wait for their descriptions.

        Up to 10,000 files in one call. They are sent in few requests, several at a time, as fast
        as the server takes them. Files that the server has already, and files with the same
        content within the call, are not sent: their result is the existing picture's, which is
        described again where :meth:`upload_one` says so. One bad
        file does not stop the others: its result has ``is_failed`` and says why.

        Callbacks may be plain functions or coroutine functions. One that raises is logged once
        and disturbs nothing.

        Args:
            files: a path, a folder, bytes, a file that is open for reading bytes, or a list of
                these in any mixture. Explicit files must be pictures; in folders, other files are
                passed over.
            filename: the name, if ``files`` is one file or bytes.
            filenames: the names, one for each entry of ``files``.
            recursive: whether folders within folders count.
            include_hidden: whether files and folders that begin with a dot count.
            wait_for_descriptions: whether to wait; without it, results are pending.
            raise_on_failure: whether a failure is raised at the end, or only in the results.
            description_timeout: seconds without any new description until the wait is given up;
                by default ``polling_timeout``.
            on_progress: called for each file once it has been read.
            on_file_complete: called for each file that the server has.
            on_description_progress: called for each file that is described or has failed.
            on_description_failed: called for each file that failed.
            storage_target: ``custom`` for your own bucket.
            verification_level: how thoroughly descriptions are checked; by default the
                server's choice.
            vocabulary: the id or name of one that tags are chosen from; by default that of
                ``client.tenant``. What the server has already is not described again for it.
            vocabulary_mode: ``strict``: only its terms; ``prefer``: others too; ``off``.
            escalation_policy: as for :meth:`upload_one`.

        Returns:
            A list with one result per file, in the order of the files.

        Raises:
            ValidationError: more than 10,000 files, an explicit file that is missing or no
                picture, bytes without a name.
            QuotaExceededError: the plan's limit is reached; ``partial_results`` holds what was
                uploaded before.
            UploadError: a folder cannot be read; files could not be uploaded; or the call broke
                off in the middle. ``partial_results`` holds what was uploaded, ``session_id`` the
                last upload session. Calling again sends only what is missing.
            DescriptionError: pictures could not be described.
            AionvisionTimeoutError: no description came for too long; ``last_result`` holds the
                results so far.
            AionvisionError: others, if they strike before any file was uploaded.
        """
        from aion._upload import Options, UploadCall

        sources = await in_thread(
            expand,
            files,
            filename=filename,
            filenames=filenames,
            recursive=recursive,
            include_hidden=include_hidden,
        )
        timeout = (
            self._config.polling_timeout if description_timeout is None else description_timeout
        )
        options = Options(
            wait=wait_for_descriptions,
            raise_on_failure=raise_on_failure,
            timeout=timeout,
            interval=self._config.polling_interval,
            storage_target=StorageTarget(storage_target).value,
            fields=upload_fields(
                verification_level, vocabulary, vocabulary_mode, escalation_policy
            ),
        )
        callbacks = Callbacks(
            on_progress, on_file_complete, on_description_progress, on_description_failed
        )
        return await UploadCall(self._http, sources, options, callbacks).run()

    async def upload_batch(
        self,
        files: Sequence[File],
        *,
        filenames: Sequence[str] | None = None,
        recursive: bool = True,
        include_hidden: bool = False,
        wait_for_descriptions: bool = True,
        raise_on_failure: bool = True,
        description_timeout: float | None = None,
        on_progress: ProgressCallback | None = None,
        on_file_complete: FileCompleteCallback | None = None,
        on_description_progress: DescriptionProgressCallback | None = None,
        on_description_failed: DescriptionFailedCallback | None = None,
        storage_target: StorageTarget | str = "default",
        verification_level: VerificationLevel | str | None = None,
        vocabulary: str | None = None,
        vocabulary_mode: VocabularyMode | None = None,
        escalation_policy: str | None = None,
        intent: str = "describe",
    ) -> BatchUploadResults:
        """Upload a list of pictures and folders: :meth:`upload` with an ``intent``.

        Args:
            files: paths, folders, bytes and open files.
            filenames: the names, one for each entry of ``files``.
            recursive: whether folders within folders count.
            include_hidden: whether files and folders that begin with a dot count.
            wait_for_descriptions: whether to wait; without it, results are pending.
            raise_on_failure: whether a failure is raised at the end, or only in the results.
            description_timeout: seconds without any new description until the wait is given up.
            on_progress: called for each file once it has been read.
            on_file_complete: called for each file that the server has.
            on_description_progress: called for each file that is described or has failed.
            on_description_failed: called for each file that failed.
            storage_target: ``custom`` for your own bucket.
            verification_level: how thoroughly descriptions are checked.
            vocabulary: the id or name of one that tags are chosen from.
            vocabulary_mode: ``strict``: only its terms; ``prefer``: others too; ``off``.
            escalation_policy: as for :meth:`upload_one`.
            intent: ``describe``, the only one that this server offers.

        Raises:
            AionvisionError: as :meth:`upload`.
        """
        require(intent == "describe", f"intent must be 'describe', not {intent!r}", "intent")
        return await self.upload(
            list(files),
            filenames=filenames,
            recursive=recursive,
            include_hidden=include_hidden,
            wait_for_descriptions=wait_for_descriptions,
            raise_on_failure=raise_on_failure,
            description_timeout=description_timeout,
            on_progress=on_progress,
            on_file_complete=on_file_complete,
            on_description_progress=on_description_progress,
            on_description_failed=on_description_failed,
            storage_target=storage_target,
            verification_level=verification_level,
            vocabulary=vocabulary,
            vocabulary_mode=vocabulary_mode,
            escalation_policy=escalation_policy,
        )

    # --- step by step ------------------------------------------------------------------------

    async def check_quota(self, file_count: int = 1) -> QuotaInfo:
        """Whether ``file_count`` files may be uploaded now.

        Raises:
            AionvisionError: as every request.
        """
        require(file_count >= 1, "file_count must be at least 1", "file_count")
        params = {"file_count": file_count}
        answer = await self._http.json("GET", "/uploads/quota-check", params=params)
        return QuotaInfo.from_api_response(answer)

    async def request_presigned_url(
        self,
        filename: str,
        content_type: str,
        size_bytes: int,
        *,
        purpose: str = "image_analysis",
        idempotency_key: str | None = None,
        storage_target: StorageTarget | str = "default",
    ) -> PresignedUrlInfo:
        """Reserve an address to send one file's bytes to, without a key.

        Args:
            filename: the original name.
            content_type: e.g. ``image/jpeg``.
            size_bytes: the exact size.
            purpose: what for.
            idempotency_key: asking again with the same key gives the same reservation.
            storage_target: ``custom`` for your own bucket.

        Raises:
            ValidationError: a type or size that is not accepted.
            QuotaExceededError: the plan's limit is reached.
        """
        request = given(
            filename=filename,
            content_type=content_type,
            size_bytes=size_bytes,
            purpose=purpose,
            idempotency_key=idempotency_key,
            storage_target=StorageTarget(storage_target).value,
        )
        answer = await self._http.json("POST", "/uploads/request-presigned-url", json=request)
        return PresignedUrlInfo.from_api_response(answer)

    async def confirm_upload(
        self, object_key: str, size_bytes: int, *, checksum: str | None = None
    ) -> ConfirmResult:
        """Say that the bytes are there; the description begins.

        Args:
            object_key: from :meth:`request_presigned_url`.
            size_bytes: how many were sent.
            checksum: checked if given.

        Raises:
            ResourceNotFoundError: no such reservation.
            ValidationError: the size or the checksum is another.
        """
        request = given(object_key=object_key, size_bytes=size_bytes, checksum=checksum)
        answer = await self._http.json("POST", "/uploads/confirm", json=request)
        return ConfirmResult.from_api_response(answer)

    async def wait_for_description(
        self, image_id: str, *, timeout: float | None = None, poll_interval: float | None = None
    ) -> describe.DescriptionStatus:
        """Wait until a picture is described.

        Args:
            image_id: the picture.
            timeout: seconds; by default ``polling_timeout``.
            poll_interval: seconds between two questions; by default ``polling_interval``.

        Raises:
            DescriptionError: it could not be described.
            AionvisionTimeoutError: it was not in time.
        """
        from aion.types import describe

        result = await self._wait(self._http.patient(), image_id, timeout, poll_interval)
        raise_if_failed(result)
        return describe.DescriptionStatus(
            image_id=image_id,
            status=result.description_status.value,
            description=result.description,
            tags=result.tags,
            visible_text=result.visible_text,
            confidence_score=result.confidence_score,
            error_message=result.description_error,
            created_at=result.created_at,
        )

    async def batch_prepare(
        self,
        files: Sequence[FileInfo],
        *,
        intent: str = "describe",
        verification_level: VerificationLevel | str = "standard",
        additional_params: dict[str, Any] | None = None,
    ) -> BatchPrepareResult:
        """Reserve addresses for one to five files.

        Args:
            files: their names, sizes and types.
            intent: what is to happen with them.
            verification_level: how thoroughly descriptions are checked.
            additional_params: more for the analysis, e.g. ``prompt``.

        Raises:
            ValidationError: no file, more than five, or one that is not accepted.
        """
        require(1 <= len(files) <= 5, "a presigned batch holds 1 to 5 files", "files")
        request = given(
            files=[file.to_dict() for file in files],
            intent=intent,
            verification_level=VerificationLevel(verification_level).value,
            additional_params=additional_params,
        )
        answer = await self._http.json("POST", "/uploads/batch-prepare", json=request)
        return BatchPrepareResult.from_api_response(answer)

    async def batch_confirm(
        self,
        batch_id: str,
        confirmations: Sequence[UploadConfirmation],
        *,
        auto_process: bool = True,
    ) -> BatchConfirmResult:
        """Say which files of a presigned batch are there.

        Args:
            batch_id: from :meth:`batch_prepare`.
            confirmations: one for each file.
            auto_process: whether the descriptions begin.

        Raises:
            ResourceNotFoundError: no such batch.
        """
        require(bool(confirmations), "confirmations must not be empty", "confirmations")
        request = {
            "batch_id": batch_id,
            "confirmations": [confirmation.to_dict() for confirmation in confirmations],
            "auto_process": auto_process,
        }
        answer = await self._http.json("POST", "/uploads/batch-confirm", json=request)
        return BatchConfirmResult.from_api_response(answer)

    async def get_batch_status(self, batch_id: str) -> UploadBatchStatusResult:
        """How far a presigned batch has come.

        Raises:
            ResourceNotFoundError: no such batch.
        """
        answer = await self._http.json("GET", f"/uploads/batch/{segment(batch_id)}/status")
        return UploadBatchStatusResult.from_api_response(answer)
