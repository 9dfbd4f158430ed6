"""The folders of a library: make, look, rename, move, delete, and put pictures into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.errors import Conflict, NotFound, ValidationFailed
from ocelli.domain.folders import MAX_FOLDERS, MAX_LEVELS, DeleteMode, Folder, folder_name
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.files import Files

FOLDER = "Folder"
ROOT = "root"
AT_ONCE = 100  # pictures that are deleted before it is looked for more


@dataclass(frozen=True, slots=True)
class Contents:
    """A folder, None for the root, those that it is in (the outermost first), and those in it."""

    folder: Folder | None
    path: Sequence[Folder]
    subfolders: Sequence[Folder]
    file_count: int


@dataclass(frozen=True, slots=True)
class DeletedFolder:
    """How many pictures and folders were moved or deleted with a folder."""

    id: UUID
    mode: DeleteMode
    files: int
    subfolders: int


class Folders:
    """Use cases around folders. Changes of a tenant's tree take turns."""

    def __init__(self, database: PostgresDatabase, files: Files) -> None:
        self._database = database
        self._files = files

    async def all(self, tenant_id: UUID) -> Sequence[Folder]:
        """Return all folders, each behind the one that it is in."""
        async with self._database.autocommit() as tx:
            return await tx.folders.all(tenant_id)

    async def contents(self, tenant_id: UUID, id: str) -> Contents:
        """Return what is in a folder; ``root`` is above all. Raises NotFound."""
        folders = await self.all(tenant_id)
        if id == ROOT:
            count = await self._files.count_outside_of_folders(tenant_id)
            return Contents(None, [], [each for each in folders if each.depth == 0], count)
        by_id = {each.id: each for each in folders}
        folder = existing(by_id.get(parse_id(FOLDER, id)), FOLDER, id)
        path = [folder]
        while (parent := path[0].parent_id) is not None:
            path.insert(0, by_id[parent])
        subfolders = [each for each in folders if each.parent_id == folder.id]
        return Contents(folder, path, subfolders, folder.file_count)

    async def create(self, tenant_id: UUID, name: str, parent_id: UUID | None) -> Folder:
        """Make a folder in another one. Raises NotFound, Conflict, ValidationFailed."""
        name = folder_name(name)
        async with self._database.transaction() as tx:
            if await tx.folders.lock(tenant_id) >= MAX_FOLDERS:
                raise Conflict(f"There are {MAX_FOLDERS:,} folders; delete some first.")
            check_depth(await _parent_depth(tx, tenant_id, parent_id) + 1)
            id = await tx.folders.add(tenant_id, name, parent_id)
            return await _get(tx, tenant_id, id)

    async def rename(self, tenant_id: UUID, id: str, name: str) -> Folder:
        """Rename a folder. Raises NotFound, Conflict, ValidationFailed."""
        name = folder_name(name)
        async with self._database.transaction() as tx:
            folder = await _get(tx, tenant_id, parse_id(FOLDER, id))
            await tx.folders.rename(folder.id, name)
            return await _get(tx, tenant_id, folder.id)

    async def move(self, tenant_id: UUID, id: str, parent_id: UUID | None) -> Folder:
        """Put a folder into another one, None: to the root.

        Raises NotFound; Conflict if its name is taken there; ValidationFailed if it would be in
        itself, or too deep.
        """
        async with self._database.transaction() as tx:
            await tx.folders.lock(tenant_id)
            folder = await _get(tx, tenant_id, parse_id(FOLDER, id))
            moving, levels = await tx.folders.below(folder.id)
            depth = await _parent_depth(tx, tenant_id, parent_id) + 1
            if parent_id in moving:
                raise ValidationFailed("A folder cannot be in itself.", field="new_parent_id")
            check_depth(depth + levels - 1)
            await tx.folders.move([folder.id], parent_id)
            return await _get(tx, tenant_id, folder.id)

    async def delete(self, tenant_id: UUID, id: str, mode: DeleteMode) -> DeletedFolder:
        """Delete a folder, with its content or without.

        Raises NotFound; Conflict if a folder in it has a name that is taken where it would go.
        """
        if mode is DeleteMode.MOVE_TO_PARENT:
            return await self._dissolve(tenant_id, id)
        async with self._database.autocommit() as tx:
            folder = await _get(tx, tenant_id, parse_id(FOLDER, id))
            ids, _ = await tx.folders.below(folder.id)
        files = await self._delete_files(tenant_id, ids)
        async with self._database.transaction() as tx:
            await tx.folders.lock(tenant_id)
            await tx.folders.delete(folder.id)
        return DeletedFolder(folder.id, mode, files, len(ids) - 1)

    async def move_files(self, tenant_id: UUID, ids: Sequence[UUID], folder_id: UUID | None) -> int:
        """Put pictures into a folder, None: to the root; return how many. Raises NotFound.

        Ids of no picture of the tenant are passed over.
        """
        async with self._database.transaction() as tx:
            await tx.folders.lock(tenant_id)
            if folder_id is not None:
                await _get(tx, tenant_id, folder_id)
            return await tx.folders.put_files(tenant_id, ids, folder_id)

    async def _dissolve(self, tenant_id: UUID, id: str) -> DeletedFolder:
        async with self._database.transaction() as tx:
            await tx.folders.lock(tenant_id)
            folder = await _get(tx, tenant_id, parse_id(FOLDER, id))
            inside = await tx.folders.subfolders(folder.id)
            # It makes room for a folder in it that has its name.
            await tx.folders.rename(folder.id, str(folder.id))
            await tx.folders.move(inside, folder.parent_id)
            files = await tx.folders.empty_into(folder.id, folder.parent_id)
            await tx.folders.delete(folder.id)
        return DeletedFolder(folder.id, DeleteMode.MOVE_TO_PARENT, files, len(inside))

    async def _delete_files(self, tenant_id: UUID, folder_ids: Sequence[UUID]) -> int:
        """Delete the pictures one by one: what is cut short goes on with the next call."""
        deleted = 0
        while True:
            async with self._database.autocommit() as tx:
                ids = await tx.folders.files(folder_ids, AT_ONCE)
            if not ids:
                return deleted
            for id in ids:
                try:
                    await self._files.delete(tenant_id, str(id))
                except NotFound:  # another request was faster
                    continue
                deleted += 1


async def _get(tx: PostgresTransaction, tenant_id: UUID, id: UUID) -> Folder:
    return existing(await tx.folders.get(tenant_id, id), FOLDER, id)


async def _parent_depth(tx: PostgresTransaction, tenant_id: UUID, parent_id: UUID | None) -> int:
    return -1 if parent_id is None else (await _get(tx, tenant_id, parent_id)).depth


def check_depth(depth: int) -> None:
    """Raise ValidationFailed for a folder that would be too deep."""
    if depth >= MAX_LEVELS:
        raise ValidationFailed(f"Folders have at most {MAX_LEVELS} levels.", field="parent_id")
