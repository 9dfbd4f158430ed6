"""Accept uploaded pictures; after ``accept`` has returned, each reaches a final state."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.analysis import Analysis, Status, VerificationLevel
from ocelli.domain.correlation import Origin
from ocelli.domain.errors import (
    OcelliError,
    TooLarge,
    ValidationFailed,
)
from ocelli.domain.images import Image, StorageTarget
from ocelli.domain.languages import DEFAULT as DEFAULT_LANGUAGE
from ocelli.domain.questions import Question, Role
from ocelli.domain.upload_sessions import Intent, Item, Session
from ocelli.usecases.batcher import Batcher
from ocelli.usecases.concurrency import store_all
from ocelli.usecases.filenames import clean_filename, key_name
from ocelli.usecases.quota import raise_if_reached
from ocelli.usecases.upload_records import item_state, record_in, record_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.tagging import TagVocabulary
    from ocelli.domain.usage import Charge, Limit
    from ocelli.media.blob_writer import BlobWriter
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.quota import Quota
    from ocelli.usecases.store_resolver import StoreResolver

MAX_TAGS = 40
MAX_TAG_LENGTH = 50
MAX_TITLE_LENGTH = 255

DEFAULT_LEVEL = VerificationLevel.STANDARD


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """The parameters that a client sends with a file."""

    filename: str | None
    title: str | None = None
    tags: tuple[str, ...] = ()
    describe: bool = True
    skip_duplicates: bool = False
    variants: bool = True
    level: VerificationLevel = DEFAULT_LEVEL
    backends: tuple[str, ...] = ()
    role: Role = Role.GENERAL
    language: str = DEFAULT_LANGUAGE
    policy_id: UUID | None = None
    upload_method: str = "STREAMING"
    storage_target: StorageTarget = StorageTarget.DEFAULT
    vocabulary: TagVocabulary | None = None
    origin: Origin = field(default_factory=Origin.current)


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """One file of several: ``staged`` if it was received, else ``error``.

    ``key`` names the file within its session, if it may come again.
    """

    request: UploadRequest
    staged: BlobWriter | None = None
    error: OcelliError | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The picture; ``duplicate`` says that it existed before and nothing was stored."""

    image: Image
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """The session, and for each file of the request the picture or the error."""

    session: Session
    outcomes: Sequence[Accepted | OcelliError]


@dataclass(frozen=True, slots=True)
class _StoredUpload:
    """A file in the store that has no row yet, or an ``existing`` picture with the same bytes."""

    image: Image
    request: UploadRequest
    existing: Image | None = None
    key_id: UUID | None = None


class Upload:
    """Use cases around uploads."""

    def __init__(
        self, database: PostgresDatabase, stores: StoreResolver, quota: Quota, *, max_pixels: int
    ) -> None:
        self._database = database
        self._stores = stores
        self._quota = quota
        self._max_pixels = max_pixels
        self._batcher = Batcher(self._accept_several)

    def inspect(self, staged: BlobWriter) -> None:
        """Read the header. Blocks: the thread that writes the last bytes calls it."""
        staged.inspect(self._max_pixels)

    async def known(self, tenant_id: UUID, hashes: Sequence[str]) -> dict[str, UUID]:
        """Return the ids of the tenant's pictures by SHA-256, for those hashes that it has."""
        async with self._database.autocommit() as tx:
            return await tx.images.by_hashes(tenant_id, hashes)

    async def stuck(self, tenant_id: UUID, *, minutes: int, limit: int) -> Sequence[Image]:
        """Return pictures whose description is unfinished after ``minutes``, oldest first."""
        async with self._database.autocommit() as tx:
            return await tx.images.stuck(tenant_id, minutes=minutes, limit=limit)

    async def accept(
        self,
        tenant: Tenant,
        staged: BlobWriter,
        request: UploadRequest,
        *,
        reservation: Item | None = None,
    ) -> Accepted:
        """Store the file, then add the rows and the jobs in one commit.

        With ``reservation`` the picture gets its id, and it is moved on in the same transaction.
        Raises ValidationFailed if it is no picture that we read, UsageLimitExceeded & co. A failure
        or a crash leaves at most an object that no row knows, for the sweep to find: whether a
        broken commit took place cannot be told, so the object is never removed here.
        """
        id = reservation.id if reservation else None
        stored = await self._store(tenant, staged, request, id)
        if reservation is None and not request.skip_duplicates:  # no locks: all in any order
            return await self._batcher(tenant.id, (tenant, stored))
        async with self._database.transaction() as tx:
            (accepted,) = await self._record(tx, [stored])
            if reservation is not None:
                await tx.sessions.move(
                    reservation.id, item_state(accepted, request), image_id=accepted.image.id
                )
            await self._count(tx, tenant, [(accepted, request)])
        await self._discard_duplicates([(stored, accepted)])
        return accepted

    async def accept_batch(
        self,
        tenant: Tenant,
        files: Sequence[IncomingFile],
        *,
        level: VerificationLevel,
        intent: Intent = Intent.DESCRIBE,
        into: UUID | None = None,
    ) -> AcceptedBatch:
        """Accept all files of a request in one transaction; an invalid one fails alone.

        ``into`` adds them to a session that exists (NotFound if the tenant has none of that id).
        Raises UsageLimitExceeded if they are more than the month has left; then nothing is stored.
        """
        results = await self._store_all(tenant, files)
        async with self._database.transaction() as tx:
            await _lock_duplicates(tx, tenant, results)
            recorded = iter(
                await self._record(
                    tx, [each for each in results if isinstance(each, _StoredUpload)]
                )
            )
            outcomes: list[Accepted | OcelliError] = [
                next(recorded) if isinstance(each, _StoredUpload) else each for each in results
            ]
            session = await record_session(tx, tenant, files, outcomes, level, intent, into)
            await self._count(
                tx,
                tenant,
                [
                    (outcome, file.request)
                    for outcome, file in zip(outcomes, files, strict=True)
                    if isinstance(outcome, Accepted)
                ],
            )
        await self._discard_duplicates(
            [
                (stored, outcome)
                for stored, outcome in zip(results, outcomes, strict=True)
                if isinstance(stored, _StoredUpload) and isinstance(outcome, Accepted)
            ]
        )
        return AcceptedBatch(session, outcomes)

    async def accept_once(
        self,
        tenant: Tenant,
        files: Sequence[IncomingFile],
        *,
        level: VerificationLevel,
        session_id: UUID,
    ) -> Sequence[Item | OcelliError]:
        """Accept files into a session, which the first ones open; each ``key`` once.

        A file that came before gets its first answer again. One that is refused is in no session,
        and may come again. Raises Conflict if the session was cancelled, UsageLimitExceeded.
        """
        keys = [file.key for file in files if file.key is not None]
        results = await self._store_all(tenant, files)
        async with self._database.transaction() as tx:
            await tx.images.lock_content(tenant.id, f"session {session_id}")
            known = await tx.sessions.items_by_idempotency_keys(tenant.id, keys)
            new = [
                (file, stored)
                for file, stored in zip(files, results, strict=True)
                if isinstance(stored, _StoredUpload) and file.key not in known
            ]
            await _lock_duplicates(tx, tenant, [stored for _, stored in new])
            accepted = await self._record(tx, [stored for _, stored in new])
            if new:
                await record_in(tx, tenant, [file for file, _ in new], accepted, level, session_id)
                pairs = zip(accepted, (file.request for file, _ in new), strict=True)
                await self._count(tx, tenant, list(pairs))
            items = await tx.sessions.items_by_idempotency_keys(tenant.id, keys)
        by_key = {file.key: outcome for (file, _), outcome in zip(new, accepted, strict=True)}
        await self._discard_duplicates(
            [
                (stored, by_key.get(file.key) or Accepted(stored.image, duplicate=True))
                for file, stored in zip(files, results, strict=True)
                if isinstance(stored, _StoredUpload)
            ]
        )
        return [
            items[file.key] if file.key in items else _refusal(result)
            for file, result in zip(files, results, strict=True)
        ]

    async def _store_all(
        self, tenant: Tenant, files: Sequence[IncomingFile]
    ) -> list[_StoredUpload | OcelliError]:
        """Store the files; an error of one, also of its bucket, does not affect the others."""

        async def store(file: IncomingFile) -> _StoredUpload | OcelliError:
            if file.error is not None or file.staged is None:
                raise file.error or ValidationFailed("No file came.", field="files")
            return await self._store(tenant, file.staged, file.request)

        return await store_all(store, files, lambda _, error: error)

    async def _store(
        self,
        tenant: Tenant,
        staged: BlobWriter,
        request: UploadRequest,
        id: UUID | None = None,
    ) -> _StoredUpload:
        check_labels(request)
        max_bytes = self._quota.limits(tenant).max_image_bytes
        if staged.size > max_bytes:
            raise TooLarge(
                f"The file is larger than the {max_bytes // MEGABYTE} MB of the tier "
                f"{tenant.tier}.",
                details={"max_bytes": max_bytes},
            )
        store = await self._stores.of(tenant.id, request.storage_target)
        if request.skip_duplicates:
            async with self._database.autocommit() as tx:
                existing = await tx.images.by_hash(tenant.id, staged.sha256)
            if existing is not None:
                return _StoredUpload(existing, request, existing)
        id = id or uuid.uuid4()
        filename = clean_filename(request.filename)
        key = f"uploads/{tenant.id}/{id}/{key_name(filename)}"
        if not staged.is_inspected:
            await asyncio.to_thread(self.inspect, staged)
        header = staged.header
        await store.put(key, staged, header.format.content_type)
        now = datetime.now(UTC)
        image = Image(
            id=id,
            tenant_id=tenant.id,
            filename=filename,
            object_key=key,
            content_type=header.format.content_type,
            format=header.format,
            size_bytes=staged.size,
            sha256=staged.sha256,
            width=header.width,
            height=header.height,
            created_at=now,
            updated_at=now,
            title=request.title,
            tags=request.tags,
            content_created_at=header.taken_at,
            content_location=header.taken_where,
            upload_method=request.upload_method,
            storage_target=request.storage_target,
        )
        return _StoredUpload(image, request, key_id=tenant.key_id)

    async def _accept_several(
        self, batch: Sequence[tuple[Tenant, _StoredUpload]]
    ) -> Sequence[Accepted]:
        """Add uploads of one tenant, which lock its meters once and share a commit."""
        tenant, _ = batch[-1]  # what is known of it last
        new = [stored for _, stored in batch]
        charge = self._charge(tenant, [(each.image, each.request) for each in new])
        async with self._database.autocommit() as tx:
            raise_if_reached(tenant, charge, await _add(tx, new, charge))
        return [Accepted(each.image) for each in new]

    async def _record(
        self, tx: PostgresTransaction, files: Sequence[_StoredUpload]
    ) -> list[Accepted]:
        """Add the rows and jobs of new pictures; of duplicates to skip the first one counts.

        What it costs is counted by ``_count``, last in the transaction.
        """
        accepted: list[Accepted] = []
        new: list[_StoredUpload] = []
        new_by_hash: dict[str, Image] = {}
        for stored in files:
            image = stored.image
            existing = stored.existing or await _duplicate_of(tx, stored, new_by_hash)
            if existing is not None:
                accepted.append(Accepted(existing, duplicate=True))
                continue
            accepted.append(Accepted(image))
            new.append(stored)
            new_by_hash.setdefault(image.sha256, image)
        await _add(tx, new)
        return accepted

    async def _count(
        self,
        tx: PostgresTransaction,
        tenant: Tenant,
        accepted: Sequence[tuple[Accepted, UploadRequest]],
    ) -> None:
        """Count the uploads; locks the meters until the commit.

        Raises UsageLimitExceeded, StorageQuotaExceeded.
        """
        new = [(each.image, request) for each, request in accepted if not each.duplicate]
        if not new:
            return
        charge = self._charge(tenant, new)
        raise_if_reached(tenant, charge, await tx.usage.reserve(charge))

    def _charge(self, tenant: Tenant, new: Sequence[tuple[Image, UploadRequest]]) -> Charge:
        described = [request for _, request in new if request.describe]
        return self._quota.charge(
            tenant,
            uploads=len(new),
            descriptions=len(described),
            credits=sum(request.level.looks for request in described),
            size_bytes=sum(image.size_bytes for image, _ in new),
        )

    async def _discard_duplicates(self, pairs: Sequence[tuple[_StoredUpload, Accepted]]) -> None:
        for stored, accepted in pairs:
            if accepted.duplicate and stored.existing is None:
                image = stored.image
                store = await self._stores.of(image.tenant_id, image.storage_target)
                await store.delete(image.object_key)


async def _add(
    tx: PostgresTransaction, new: Sequence[_StoredUpload], charge: Charge | None = None
) -> Limit | None:
    """Add the rows and the jobs, if the charge is granted; else return the limit reached."""
    return await tx.images.add(
        *(each.image for each in new),
        variants=[each.image for each in new if each.request.variants],
        analyses=[_new_analysis(each) for each in new if each.request.describe],
        charge=charge,
        origins={each.image.id: each.request.origin for each in new},
    )


def check_labels(request: UploadRequest, *, longest_tag: int = MAX_TAG_LENGTH) -> None:
    """Raise ValidationFailed for a title or tags beyond the documented bounds."""
    if request.title is not None and len(request.title) > MAX_TITLE_LENGTH:
        raise ValidationFailed(
            f"The title is longer than {MAX_TITLE_LENGTH} characters.", field="title"
        )
    if len(request.tags) > MAX_TAGS:
        raise ValidationFailed(f"More than {MAX_TAGS} tags.", field="tags")
    for field_name, text in (("title", request.title or ""), ("tags", "".join(request.tags))):
        if "\0" in text:
            raise ValidationFailed(f"`{field_name}` holds a NUL character.", field=field_name)
    if any(len(tag) > longest_tag for tag in request.tags):
        raise ValidationFailed(f"A tag is longer than {longest_tag} characters.", field="tags")


async def _lock_duplicates(
    tx: PostgresTransaction, tenant: Tenant, results: Sequence[_StoredUpload | OcelliError]
) -> None:
    """Lock what is not to be stored twice.

    In the order of the hashes: two requests with the same files never wait in a circle.
    """
    for stored in sorted(
        (each for each in results if isinstance(each, _StoredUpload)),
        key=lambda each: each.image.sha256,
    ):
        if stored.request.skip_duplicates:
            await tx.images.lock_content(tenant.id, stored.image.sha256)


def _refusal(result: _StoredUpload | OcelliError) -> OcelliError:
    assert isinstance(result, OcelliError)  # what was stored has an item
    return result


async def _duplicate_of(
    tx: PostgresTransaction, stored: _StoredUpload, new_by_hash: Mapping[str, Image]
) -> Image | None:
    """Return the existing picture with the same bytes, if the request skips duplicates."""
    image = stored.image
    if not stored.request.skip_duplicates:
        return None
    if image.sha256 in new_by_hash:
        return new_by_hash[image.sha256]
    await tx.images.lock_content(image.tenant_id, image.sha256)
    return await tx.images.by_hash(image.tenant_id, image.sha256)


def _new_analysis(stored: _StoredUpload) -> Analysis:
    image = stored.image
    return Analysis(
        id=uuid.uuid4(),
        tenant_id=image.tenant_id,
        image_id=image.id,
        object_key=image.object_key,
        storage_target=image.storage_target,
        level=stored.request.level,
        status=Status.QUEUED,
        created_at=datetime.now(UTC),
        question=Question(
            role=stored.request.role,
            language=stored.request.language,
            backends=stored.request.backends,
            vocabulary=stored.request.vocabulary,
        ),
        policy_id=stored.request.policy_id,
        key_id=stored.key_id,
    )
