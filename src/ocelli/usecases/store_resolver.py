"""Find the store of an object: the installation's own, or the tenant's bucket."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from ocelli.domain.errors import CustomStorageMissing, StorageAccessDenied
from ocelli.domain.images import StorageTarget
from ocelli.media.blob_writer import BlobFactory, DiskReserve

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
    """A row with an object in a store: an image, an analysis."""

    @property
    def tenant_id(self) -> UUID:
        """The tenant that owns it."""
        ...

    @property
    def storage_target(self) -> StorageTarget:
        """The kind of store that holds it."""
        ...


class StoreResolver:
    """Resolves the stores of tenants. Results must not be kept: configurations change."""

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
        """Return the store of ``target`` for this tenant; None if it has no bucket of its own.

        Raises StorageAccessDenied if its credentials cannot be read any more.
        """
        if target is StorageTarget.DEFAULT:
            return self.default
        return await self._buckets.store(tenant_id) if self._buckets is not None else None

    async def of(self, tenant_id: UUID, target: StorageTarget) -> Objects:
        """Return the store for a new object. Raises CustomStorageMissing if there is no bucket."""
        store = await self.find(tenant_id, target)
        if store is None:
            raise CustomStorageMissing
        return store

    async def store_of(self, stored: StoredObject) -> Objects:
        """Return the store that holds an existing object.

        Raises StorageAccessDenied if that is the tenant's bucket and no longer configured.
        """
        store = await self.find(stored.tenant_id, stored.storage_target)
        if store is None:
            raise StorageAccessDenied(
                "This file lies in a bucket of your own that is no longer configured."
            )
        return store

    async def stores_of(
        self, objects: Iterable[StoredObject]
    ) -> dict[tuple[UUID, StorageTarget], Objects]:
        """Return the stores of these objects, without those that cannot be opened."""
        found: dict[tuple[UUID, StorageTarget], Objects] = {}
        for each in {(one.tenant_id, one.storage_target): one for one in objects}.values():
            with suppress(StorageAccessDenied):
                found[each.tenant_id, each.storage_target] = await self.store_of(each)
        return found
