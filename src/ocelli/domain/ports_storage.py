"""What the use cases of tenants' own buckets need from the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.storage import BucketConfig


class S3Configs(Protocol):
    """The tenants' own buckets."""

    async def get(self, tenant_id: UUID) -> BucketConfig | None:
        """What is configured."""
        ...

    async def put(self, config: BucketConfig) -> None:
        """Set it, in place of what was set before."""
        ...

    async def remove(self, tenant_id: UUID) -> bool:
        """Whether there was one."""
        ...

    async def tenants(self) -> Sequence[UUID]:
        """All that have one."""
        ...


class Sealing(Protocol):
    """Encryption of secrets at rest; ``context`` says what they are for, and is not secret."""

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """Not the same twice."""
        ...

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Raises ValueError if it was sealed with another secret or for another context."""
        ...
