"""Folders: the tree that pictures are sorted into."""

from dataclasses import field
from datetime import datetime

from aion.types._model import Model, record


@record
class Folder(Model):
    """A folder; ``depth`` is 0 at the root. The counts are of what is directly in it."""

    id: str
    name: str
    depth: int = 0
    parent_id: str | None = None
    file_count: int = 0
    subfolder_count: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None


@record
class FolderBreadcrumb(Model):
    """A folder on the way to another one."""

    id: str
    name: str
    depth: int = 0


@record
class FolderTree(Model):
    """All folders, each behind the one that it is in."""

    folders: list[Folder] = field(default_factory=list)


@record
class FolderContents(Model):
    """What is in ``folder``, None for the root. ``breadcrumbs`` end with itself."""

    breadcrumbs: list[FolderBreadcrumb] = field(default_factory=list)
    subfolders: list[Folder] = field(default_factory=list)
    total_files: int = 0
    has_more_files: bool = False
    folder: Folder | None = None


@record
class FolderBreadcrumbs(Model):
    """The way to a folder from the root, with itself at the end."""

    breadcrumbs: list[FolderBreadcrumb] = field(default_factory=list)


@record
class DeleteFolderResult(Model):
    """How many pictures and folders were moved or deleted with a folder."""

    id: str
    mode: str = ""
    files_affected: int = 0
    subfolders_affected: int = 0


@record
class MoveFilesResult(Model):
    """How many pictures were moved, of how many ids."""

    moved: int = 0
    total_requested: int = 0
