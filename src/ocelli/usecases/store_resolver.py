"""Which store holds what: the installation's own, or the tenant's bucket."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from ocelli.domain.errors import CustomStorageMissing, StorageAccessDenied
from ocelli.domain.images import StorageTarget
from ocelli.media.blobs import BlobFactory, DiskReserve

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from ocelli.domain.ports_storage import Objects


class Buckets(Protocol):
    """The tenants' own buckets."""

    async def store(self, tenant_id: UUID) -> Objects | None:
        """The store of this tenant; None if it has configured none. Raises StorageAccessDenied."""
        ...


class StoredObject(Protocol):
    """Something whose bytes lie in a store: a picture, an analysis."""

    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""
        ...

    @property
    def storage_target(self) -> StorageTarget:
        """In which store it lies."""
        ...


class StoreResolver:
    """The stores of all tenants: ask for one each time, configurations change."""

    def __init__(
        self,
        default: Objects,
        buckets: Buckets | None = None,
        reserve: DiskReserve = DiskReserve(),  # noqa: B008
    ) -> None:
        self.default = default
        self.new_blob = BlobFactory(default.staging, reserve)  # whichever store it goes to
        self._buckets = buckets

    async def find(self, tenant_id: UUID, target: StorageTarget) -> Objects | None:
        """The store that ``target`` means for this tenant; None if it has none of its own.

        Raises StorageAccessDenied if its credentials cannot be read any more.
        """
        if target is StorageTarget.DEFAULT:
            return self.default
        return await self._buckets.store(tenant_id) if self._buckets is not None else None

    async def of(self, tenant_id: UUID, target: StorageTarget) -> Objects:
        """The store for something new. Raises CustomStorageMissing if the tenant has none."""
        store = await self.find(tenant_id, target)
        if store is None:
            raise CustomStorageMissing
        return store

    async def holding(self, held: StoredObject) -> Objects:
        """The store in which something that was accepted lies.

        Raises StorageAccessDenied if that was the tenant's own and it is configured no more.
        """
        store = await self.find(held.tenant_id, held.storage_target)
        if store is None:
            raise StorageAccessDenied(
                "This file lies in a bucket of your own that is no longer configured."
            )
        return store

    async def usable(
        self, those: Iterable[StoredObject]
    ) -> dict[tuple[UUID, StorageTarget], Objects]:
        """The stores that hold them, without those that cannot be opened."""
        found: dict[tuple[UUID, StorageTarget], Objects] = {}
        for each in {(one.tenant_id, one.storage_target): one for one in those}.values():
            with suppress(StorageAccessDenied):
                found[each.tenant_id, each.storage_target] = await self.holding(each)
        return found
