"""What the use cases need from the world. The composition root decides who provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey, Tenant, Tier
    from ocelli.domain.analysis import Analysis, Failure
    from ocelli.domain.findings import Feature, Findings
    from ocelli.domain.images import Image, Variant, VariantStatus


class Objects(Protocol):
    """Where bytes live, by key."""

    @property
    def staging(self) -> Path:
        """A folder for files that are still arriving; old ones in it are swept away."""
        ...

    async def put(self, key: str, source: Path, content_type: str) -> None:
        """Take over the file ``source`` as ``key``; durable when this returns."""
        ...

    async def read(self, key: str) -> bytes:
        """All bytes of ``key``; FileNotFoundError if there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Remove ``key``; no error if it is gone already."""
        ...

    def url(
        self, key: str, *, expires_in: int, content_type: str, filename: str | None = None
    ) -> str:
        """A signed URL that needs no key and dies after ``expires_in`` seconds.

        With ``filename`` the answer is a download under that name.
        """
        ...

    def keys(self, *, older_than: float) -> AsyncIterator[Sequence[str]]:
        """Every key that was written more than so many seconds ago, some hundreds at a time."""
        ...

    async def check(self) -> None:
        """Raise OSError if the store cannot be used right now."""
        ...


class Picture(Protocol):
    """A decoded picture: upright, sRGB, 8 bits, no larger than the analysis needs."""

    @property
    def pixels(self) -> Any:
        """An array of shape (height, width, 3), RGB, uint8."""
        ...


class Backend(Protocol):
    """Something that can look at a picture."""

    @property
    def name(self) -> str:
        """What ``source`` says in answers."""
        ...

    @property
    def capabilities(self) -> frozenset[Feature]:
        """What it can answer."""
        ...

    async def look(self, picture: Picture) -> Findings:
        """One look. Raises AnalysisFailed."""
        ...


class Images(Protocol):
    """The pictures of all tenants; every question names the tenant."""

    async def add(self, image: Image) -> None: ...
    async def get(self, tenant_id: UUID, id_or_prefix: str) -> Image | None: ...
    async def by_hash(self, tenant_id: UUID, sha256: str) -> Image | None: ...
    async def page(
        self, tenant_id: UUID, *, limit: int, offset: int
    ) -> tuple[Sequence[Image], int]: ...
    async def delete(self, tenant_id: UUID, id: UUID) -> datetime | None: ...
    async def lock_content(self, tenant_id: UUID, sha256: str) -> None:
        """Hold everybody else who stores the same bytes until this transaction ends."""
        ...

    async def find(self, id: UUID) -> Image | None:
        """For workers, which act for every tenant."""
        ...

    async def unknown(self, keys: Sequence[str]) -> Sequence[str]:
        """Those object keys that no row speaks of."""
        ...

    async def deleted(self, *, older_than: float, limit: int) -> Sequence[Image]:
        """Pictures of all tenants that were deleted more than so many seconds ago."""
        ...

    async def forget(self, id: UUID) -> None:
        """Remove the row and all that belongs to it; its objects must be gone already."""
        ...

    async def set_variants(
        self,
        id: UUID,
        status: VariantStatus,
        variants: Sequence[Variant] = (),
        *,
        blur_hash: str | None = None,
        error: str | None = None,
    ) -> None: ...


class Analyses(Protocol):
    """What was asked about pictures, and the answers."""

    async def add(self, analysis: Analysis) -> None: ...
    async def start(self, id: UUID) -> Analysis | None:
        """Mark as processing; None if it is unknown or already final."""
        ...

    async def complete(self, analysis: Analysis) -> bool:
        """Store the answer; False if another run was first."""
        ...

    async def fail(self, id: UUID, failure: Failure) -> bool: ...
    async def requeue(self, id: UUID) -> None:
        """Back to queued: an attempt failed and another one is coming."""
        ...

    async def of_image(self, tenant_id: UUID, image_id: UUID) -> Sequence[Analysis]: ...
    async def orphans(self, older_than: float) -> Sequence[Analysis]:
        """Unfinished ones that no job stands for, older than so many seconds."""
        ...


class Accounts(Protocol):
    """Tenants and keys."""

    async def add_tenant(
        self, name: str, tier: Tier, *, requests_per_minute: int | None = None
    ) -> Tenant:
        """The tenant of that name, created if there is none."""
        ...

    async def add_key(
        self, tenant_id: UUID, key: str, *, name: str, expires_at: datetime | None
    ) -> ApiKey: ...
    async def key_by_hash(self, key_hash: bytes) -> ApiKey | None: ...
    async def keys(self) -> Sequence[ApiKey]: ...
    async def revoke(self, prefix_or_id: str) -> int:
        """Revoke every key that matches; the number of those that were active."""
        ...

    async def touch(self, used: dict[UUID, datetime]) -> None:
        """Write down when keys were last used."""
        ...


class Jobs(Protocol):
    """The queue, inside the same transaction as the rows that a job is about."""

    async def analyse(self, analysis: Analysis) -> None: ...
    async def make_variants(self, image: Image) -> None: ...


class Transaction(Protocol):
    """Everything that can be done before one commit."""

    @property
    def images(self) -> Images: ...
    @property
    def analyses(self) -> Analyses: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def jobs(self) -> Jobs: ...


class Database(Protocol):
    """Postgres, seen from the use cases."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits when its block ends, rolls back if it raises; Unavailable if there is none."""
        ...
