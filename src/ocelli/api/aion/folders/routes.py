"""Routes of ``/folders``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.folders import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.domain.folders import DeleteMode
from ocelli.domain.scopes import KeyRole

router = resource_router("/folders", tag="folders")

FolderId = Annotated[
    str,
    Path(max_length=36, description="The id.", examples=["9b1f8f52-0d6b-4f0c-8f0e-2d5b3c1a7e90"]),
]


@router.get("", summary="List folders", responses=errors())
@requires(KeyRole.READ)
async def list_folders(key: CurrentKey, services: CurrentServices) -> schemas.FolderList:
    """All of them, each behind the one that it is in."""
    found = await services.folders.all(key.tenant.id)
    return schemas.FolderList(folders=[mapping.folder(each) for each in found])


@router.post("", summary="Create a folder", status_code=201, responses=errors(400, 404, 409))
@requires(KeyRole.WRITE, stores=True)
async def create_folder(
    body: schemas.NewFolder, key: CurrentKey, services: CurrentServices
) -> schemas.FolderOut:
    """409 if there is one of this name at this place."""
    return mapping.folder(await services.folders.create(key.tenant.id, body.name, body.parent_id))


@router.post("/move-files", summary="Put files into a folder", responses=errors(404))
@requires(KeyRole.WRITE)
async def move_files(
    body: schemas.FileMove, key: CurrentKey, services: CurrentServices
) -> schemas.MovedFiles:
    """Unknown ids are passed over."""
    moved = await services.folders.move_files(key.tenant.id, body.file_ids, body.folder_id)
    return schemas.MovedFiles(moved=moved, total_requested=len(body.file_ids))


@router.get("/{folder_id}", summary="Get a folder", responses=errors(404))
@requires(KeyRole.READ)
async def get_folder(
    folder_id: FolderId,
    key: CurrentKey,
    services: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> schemas.FolderContents:
    """`root` for what is in no folder. Its pictures are those of `/user-files?folder_id=`."""
    found = await services.folders.contents(key.tenant.id, folder_id)
    return mapping.contents(found, shown=offset + limit)


@router.get("/{folder_id}/breadcrumbs", summary="The way to a folder", responses=errors(404))
@requires(KeyRole.READ)
async def get_breadcrumbs(
    folder_id: FolderId, key: CurrentKey, services: CurrentServices
) -> schemas.Breadcrumbs:
    """From the root, with itself at the end."""
    found = await services.folders.contents(key.tenant.id, folder_id)
    return schemas.Breadcrumbs(breadcrumbs=mapping.breadcrumbs(found.path))


@router.patch("/{folder_id}", summary="Rename a folder", responses=errors(400, 404, 409))
@requires(KeyRole.WRITE)
async def rename_folder(
    folder_id: FolderId, body: schemas.FolderRename, key: CurrentKey, services: CurrentServices
) -> schemas.FolderOut:
    """409 if there is one of this name at this place."""
    return mapping.folder(await services.folders.rename(key.tenant.id, folder_id, body.name))


@router.post("/{folder_id}/move", summary="Move a folder", responses=errors(404, 409))
@requires(KeyRole.WRITE)
async def move_folder(
    folder_id: FolderId, body: schemas.FolderMove, key: CurrentKey, services: CurrentServices
) -> schemas.FolderOut:
    """With all that is in it. 422 if it would be in itself, or beyond ten levels."""
    moved = await services.folders.move(key.tenant.id, folder_id, body.new_parent_id)
    return mapping.folder(moved)


@router.delete("/{folder_id}", summary="Delete a folder", responses=errors(404, 409))
@requires(KeyRole.WRITE)
async def delete_folder(
    folder_id: FolderId,
    key: CurrentKey,
    services: CurrentServices,
    mode: Annotated[DeleteMode, Query()] = DeleteMode.MOVE_TO_PARENT,
) -> schemas.DeletedFolder:
    """`move_to_parent` keeps what is in it; `delete_all` deletes that too, for good."""
    return mapping.deleted(await services.folders.delete(key.tenant.id, folder_id, mode))
