"""From the domain to the bodies of ``/folders``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api.aion.folders import schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.folders import Folder
    from ocelli.usecases.folders import Contents, DeletedFolder


def folder(each: Folder) -> schemas.FolderOut:
    """Return the body of a folder."""
    return schemas.FolderOut(
        id=str(each.id),
        name=each.name,
        parent_id=each.parent_id and str(each.parent_id),
        depth=each.depth,
        file_count=each.file_count,
        subfolder_count=each.subfolder_count,
        created_at=each.created_at,
        updated_at=each.updated_at,
    )


def breadcrumbs(path: Sequence[Folder]) -> list[schemas.Breadcrumb]:
    """Return the way to a folder."""
    return [schemas.Breadcrumb(id=str(e.id), name=e.name, depth=e.depth) for e in path]


def contents(found: Contents, *, shown: int) -> schemas.FolderContents:
    """Return the body of what is in a folder; the page of its pictures ends after ``shown``."""
    return schemas.FolderContents(
        folder=found.folder and folder(found.folder),
        breadcrumbs=breadcrumbs(found.path),
        subfolders=[folder(each) for each in found.subfolders],
        total_files=found.file_count,
        has_more_files=shown < found.file_count,
    )


def deleted(done: DeletedFolder) -> schemas.DeletedFolder:
    """Return the body of a deleted folder."""
    return schemas.DeletedFolder(
        id=str(done.id),
        files_affected=done.files,
        subfolders_affected=done.subfolders,
        mode=done.mode,
    )
