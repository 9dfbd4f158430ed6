"""Uploads to presigned URLs of the store: reserve, send, confirm."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import (
    Conflict,
    NotFound,
    OcelliError,
    TooLarge,
    ValidationFailed,
)
from ocelli.domain.images import CONTENT_TYPES, FORMATS, StorageTarget
from ocelli.domain.upload_sessions import Intent, Item, ItemState, Session, UploadMethod
from ocelli.usecases.filenames import clean_filename, key_name
from ocelli.usecases.lookup import existing, parse_id
from ocelli.usecases.upload import DEFAULT_LEVEL, UploadRequest, check_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.analysis import VerificationLevel
    from ocelli.domain.ports_storage import SignedUpload
    from ocelli.domain.tagging import TagVocabulary
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.policies import Chosen, Policies
    from ocelli.usecases.quota import Quota
    from ocelli.usecases.store_resolver import StoreResolver
    from ocelli.usecases.upload import Upload

LIFETIME = timedelta(minutes=10)
MAX_BATCH = 5


@dataclass(frozen=True, slots=True)
class ReservationRequest:
    """A file for which a client requests a URL.

    Without ``level`` the tenant's default policy counts when it is confirmed.
    """

    filename: str
    content_type: str
    size_bytes: int
    storage_target: StorageTarget = StorageTarget.DEFAULT
    idempotency_key: str | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    level: VerificationLevel | None = None
    vocabulary: TagVocabulary | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reserved file and its signed request. ``item.id`` will be the picture's id."""

    item: Item
    upload: SignedUpload
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A client's confirmation that it has sent a file (or has not, if ``error`` is set).

    ``id`` is that of the reservation, if the client names it.
    """

    object_key: str
    size_bytes: int
    checksum: str | None = None
    error: str | None = None
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ConfirmedBatch:
    """The session, and for each confirmation the item or the error."""

    session: Session
    outcomes: Sequence[Item | OcelliError]


class Presigned:
    """Use cases around signed upload URLs: good for ten minutes, one file, once."""

    def __init__(
        self,
        database: PostgresDatabase,
        stores: StoreResolver,
        upload: Upload,
        quota: Quota,
        policies: Policies,
    ) -> None:
        self._database = database
        self._stores = stores
        self._upload = upload
        self._quota = quota
        self._policies = policies

    async def reserve(self, tenant: Tenant, request: ReservationRequest) -> Reservation:
        """Reserve one file. The same ``idempotency_key`` gives the same reservation again."""
        self._check(tenant, request)
        async with self._database.transaction() as tx:
            item = None
            if request.idempotency_key is not None:
                await tx.images.lock_content(tenant.id, f"reservation {request.idempotency_key}")
                item = await tx.sessions.item_by_idempotency_key(tenant.id, request.idempotency_key)
            if item is None:
                item = _item(tenant, request)
                await tx.sessions.add_items(item)
            elif (item.filename, item.size_bytes) != (
                clean_filename(request.filename),
                request.size_bytes,
            ):
                raise Conflict("This idempotency_key was used for another file.")
        return await self._signed(tenant, item)

    async def reserve_batch(
        self,
        tenant: Tenant,
        requests: Sequence[ReservationRequest],
        *,
        intent: Intent,
        level: VerificationLevel,
    ) -> tuple[Session, list[Reservation]]:
        """Reserve one to ``MAX_BATCH`` files as a session."""
        for each in requests:
            self._check(tenant, each)
        now = datetime.now(UTC)
        session = Session(
            id=uuid.uuid4(),
            tenant_id=tenant.id,
            upload_method=UploadMethod.PRESIGNED,
            intent=intent,
            level=level,
            total=len(requests),
            uploading=len(requests),
            created_at=now,
        )
        items = [
            replace(_item(tenant, each), session_id=session.id, position=position)
            for position, each in enumerate(requests)
        ]
        reservations = [await self._signed(tenant, item) for item in items]
        async with self._database.transaction() as tx:
            await tx.sessions.add(session, items)
        return session, reservations

    async def confirm(
        self, tenant: Tenant, confirmation: Confirmation, *, describe: bool = True
    ) -> Item:
        """Check the uploaded object and accept it; repeating it gives the same answer.

        Raises NotFound if there is no reservation (or another id) or no object, ValidationFailed
        if the object differs from what was announced, Conflict if the reservation has ended or is
        being confirmed.
        """
        async with self._database.transaction() as tx:
            item = await tx.sessions.item_by_key(tenant.id, confirmation.object_key)
            if item is None:
                raise NotFound("Upload", confirmation.object_key)
            if confirmation.id not in (None, item.id):
                raise NotFound("Upload", str(confirmation.id))
            session = item.session_id and await tx.sessions.get(tenant.id, item.session_id)
            claimed = await tx.sessions.take(item.id)
        if not claimed:
            return _confirmed_or_conflict(item)
        level = item.level or (session.level if session else DEFAULT_LEVEL)
        try:
            how = await self._policies.choose(tenant.id, None, level, is_free=item.level is None)
            await self._accept(tenant, item, confirmation, describe=describe, how=how)
        except BaseException:
            # Shielded: a client that hangs up must not leave the item taken.
            await asyncio.shield(self._give_back(item))
            raise
        return item

    async def confirm_batch(
        self,
        tenant: Tenant,
        batch_id: str,
        confirmations: Sequence[Confirmation],
        *,
        describe: bool,
    ) -> ConfirmedBatch:
        """Confirm each file by itself; one that is wrong fails alone."""
        session, items = await self._batch(tenant, batch_id)
        outcomes: list[Item | OcelliError] = []
        for confirmation in confirmations:
            item = items.get(confirmation.object_key)
            try:
                if item is None:
                    raise NotFound("Upload", confirmation.object_key)
                if confirmation.error is not None:
                    raise ValidationFailed(confirmation.error, field="confirmations")
                outcomes.append(await self.confirm(tenant, confirmation, describe=describe))
            except OcelliError as error:
                outcomes.append(error)
                if item is not None and not error.retryable and not isinstance(error, Conflict):
                    await self._end(item, error)
        async with self._database.transaction() as tx:
            now = await tx.sessions.get(tenant.id, session.id)
        assert now is not None
        return ConfirmedBatch(now, outcomes)

    async def _accept(
        self,
        tenant: Tenant,
        item: Item,
        confirmation: Confirmation,
        *,
        describe: bool,
        how: Chosen,
    ) -> None:
        key = confirmation.object_key
        store = await self._stores.of(tenant.id, item.storage_target)
        size = await store.size(key)
        if size is None:
            raise NotFound("Uploaded object", key)
        if size != confirmation.size_bytes:
            raise ValidationFailed(
                f"The object has {size} bytes, not {confirmation.size_bytes}.", field="size_bytes"
            )
        max_bytes = self._max_bytes(tenant, item.size_bytes or size)
        with self._stores.new_blob(max_bytes=max_bytes) as staged:
            await store.copy_to(key, staged.write)
            _check_checksum(staged.sha256, confirmation.checksum)
            request = UploadRequest(
                filename=item.filename,
                title=item.title,
                tags=item.tags,
                describe=describe,
                level=how.level,
                backends=how.backends,
                policy_id=how.policy_id,
                vocabulary=item.vocabulary,
                upload_method="PRESIGNED",
                storage_target=item.storage_target,
            )
            await self._upload.accept(tenant, staged, request, reservation=item)
        # Its copy is the original now; the URL cannot change that one. It is accepted, whatever
        # the store says to this: housekeeping comes back to what is left over.
        with contextlib.suppress(OcelliError, OSError):
            await store.delete(key)

    async def _signed(self, tenant: Tenant, item: Item) -> Reservation:
        if item.object_key is None or item.expires_at is None or item.content_type is None:
            raise Conflict("This reservation cannot be used any more.")
        store = await self._stores.of(tenant.id, item.storage_target)
        max_bytes = self._max_bytes(tenant, item.size_bytes or 0)
        left = (item.expires_at - datetime.now(UTC)).total_seconds()
        upload = store.upload_url(
            item.object_key,
            expires_in=max(1, round(left)),
            content_type=item.content_type,
            max_bytes=max_bytes,
        )
        return Reservation(item, upload, max_bytes)

    async def _batch(self, tenant: Tenant, batch_id: str) -> tuple[Session, dict[str, Item]]:
        id = parse_id("Batch", batch_id)
        async with self._database.transaction() as tx:
            session = existing(await tx.sessions.get(tenant.id, id), "Batch", batch_id)
            items = await tx.sessions.items(tenant.id, id)
        return session, {item.object_key: item for item in items if item.object_key}

    async def _give_back(self, item: Item) -> None:
        async with self._database.transaction() as tx:
            await tx.sessions.give_back(item.id)

    async def _end(self, item: Item, error: OcelliError) -> None:
        """Fail the item, unless it was confirmed before and has a picture."""
        async with self._database.transaction() as tx:
            if await tx.sessions.take(item.id):
                await tx.sessions.move(
                    item.id, ItemState.FAILED, error=error.message, retryable=error.retryable
                )

    def _check(self, tenant: Tenant, request: ReservationRequest) -> None:
        check_labels(UploadRequest(request.filename, title=request.title, tags=request.tags))
        if request.content_type.lower() not in CONTENT_TYPES:
            raise ValidationFailed(
                f"{request.content_type} is not supported. Send {FORMATS}.",
                field="content_type",
            )
        limit = self._quota.limits(tenant).max_image_bytes
        if request.size_bytes > limit:
            raise TooLarge(
                f"The file is larger than the {limit // MEGABYTE} MB of the tier {tenant.tier}.",
                details={"max_bytes": limit},
            )

    def _max_bytes(self, tenant: Tenant, declared: int) -> int:
        """Return the bound on the file: the declared size, or the tier's if that is less."""
        return min(declared, self._quota.limits(tenant).max_image_bytes)


def _item(tenant: Tenant, request: ReservationRequest) -> Item:
    id, now = uuid.uuid4(), datetime.now(UTC)
    filename = clean_filename(request.filename)
    return Item(
        id=id,
        tenant_id=tenant.id,
        session_id=None,
        position=0,
        filename=filename,
        state=ItemState.UPLOADING,
        created_at=now,
        content_type=request.content_type.lower(),
        size_bytes=request.size_bytes,
        object_key=f"incoming/{tenant.id}/{id}/{key_name(filename)}",
        storage_target=request.storage_target,
        idempotency_key=request.idempotency_key,
        title=request.title,
        tags=request.tags,
        expires_at=now + LIFETIME,
        level=request.level,
        vocabulary=request.vocabulary,
    )


def _confirmed_or_conflict(item: Item) -> Item:
    """Return an item that was confirmed before. Raises Conflict if it failed or is in progress."""
    if item.image_id is not None:
        return item
    if item.state is ItemState.CONFIRMING or not item.state.is_final:
        raise Conflict("This upload is being confirmed by another request.")
    raise Conflict(item.error or "This upload has ended.", details={"state": item.state})


def _check_checksum(actual: str, given: str | None) -> None:
    if given is not None and given.lower().removeprefix("sha256:") != actual:
        raise ValidationFailed(
            "The checksum does not fit: it must be the SHA-256 of the file, hexadecimal.",
            field="checksum",
        )
