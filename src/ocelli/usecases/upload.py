"""Accept a picture: once ``accept`` has returned, it reaches a final state."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Analysis, Level, Status
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.images import Image
from ocelli.media.header import read_header
from ocelli.usecases.names import clean_filename, key_name

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from ocelli.domain.images import ImageHeader
    from ocelli.domain.ports import Database, Objects, Transaction
    from ocelli.usecases.staging import StagedFile

MAX_TAGS = 40
MAX_TAG_LENGTH = 50
MAX_TITLE_LENGTH = 255


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What a client says about the file that it sends."""

    filename: str | None
    title: str | None = None
    tags: tuple[str, ...] = ()
    describe: bool = True
    skip_duplicates: bool = False
    variants: bool = True
    level: Level = Level.QUICK


@dataclass(frozen=True, slots=True)
class Accepted:
    """The picture, and whether it was there before (then nothing was stored)."""

    image: Image
    duplicate: bool = False


class Upload:
    """Use cases around pictures that come in."""

    def __init__(self, database: Database, objects: Objects, *, max_pixels: int) -> None:
        self._database = database
        self._objects = objects
        self._max_pixels = max_pixels

    @property
    def staging(self) -> Path:
        """Where StagedFile belongs."""
        return self._objects.staging

    async def accept(self, tenant_id: UUID, staged: StagedFile, request: UploadRequest) -> Accepted:
        """Store the file, then the rows and the jobs in one transaction.

        Raises ValidationFailed if it is no picture that we read. A failure or a crash leaves at
        most an object that no row knows, for the sweep to find: whether a broken commit took
        place cannot be told, so the object is never removed here.
        """
        check_labels(request)
        header = await asyncio.to_thread(self._read_header, staged)
        if request.skip_duplicates:
            async with self._database.transaction() as tx:
                existing = await tx.images.by_hash(tenant_id, staged.sha256)
            if existing is not None:
                return Accepted(existing, duplicate=True)
        image = _new_image(tenant_id, staged, request, header)
        await self._objects.put(image.object_key, staged.path, image.content_type)
        accepted = await self._record(image, request)
        if accepted.duplicate:
            await self._objects.delete(image.object_key)
        return accepted

    async def _record(self, image: Image, request: UploadRequest) -> Accepted:
        async with self._database.transaction() as tx:
            if request.skip_duplicates:
                await tx.images.lock_content(image.tenant_id, image.sha256)
                existing = await tx.images.by_hash(image.tenant_id, image.sha256)
                if existing is not None:
                    return Accepted(existing, duplicate=True)
            await tx.images.add(image)
            if request.variants:
                await tx.jobs.make_variants(image)
            if request.describe:
                await _ask(tx, image, request.level)
        return Accepted(image)

    def _read_header(self, staged: StagedFile) -> ImageHeader:
        staged.close()
        return read_header(staged.path, max_pixels=self._max_pixels)


def check_labels(request: UploadRequest) -> None:
    """Raise ValidationFailed for a title or tags beyond the documented bounds."""
    if request.title is not None and len(request.title) > MAX_TITLE_LENGTH:
        raise ValidationFailed(
            f"The title is longer than {MAX_TITLE_LENGTH} characters.", field="title"
        )
    if len(request.tags) > MAX_TAGS:
        raise ValidationFailed(f"More than {MAX_TAGS} tags.", field="tags")
    for field, text in (("title", request.title or ""), ("tags", "".join(request.tags))):
        if "\0" in text:
            raise ValidationFailed(f"`{field}` holds a NUL character.", field=field)
    if any(len(tag) > MAX_TAG_LENGTH for tag in request.tags):
        raise ValidationFailed(f"A tag is longer than {MAX_TAG_LENGTH} characters.", field="tags")


async def _ask(tx: Transaction, image: Image, level: Level) -> None:
    analysis = Analysis(
        id=uuid.uuid4(),
        tenant_id=image.tenant_id,
        image_id=image.id,
        object_key=image.object_key,
        level=level,
        status=Status.QUEUED,
        created_at=datetime.now(UTC),
    )
    await tx.jobs.analyse(analysis)  # counts the backlog, so before the row
    await tx.analyses.add(analysis)


def _new_image(
    tenant_id: UUID, staged: StagedFile, request: UploadRequest, header: ImageHeader
) -> Image:
    id = uuid.uuid4()
    filename = clean_filename(request.filename)
    now = datetime.now(UTC)
    return Image(
        id=id,
        tenant_id=tenant_id,
        filename=filename,
        object_key=f"uploads/{tenant_id}/{id}/{key_name(filename)}",
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
    )
