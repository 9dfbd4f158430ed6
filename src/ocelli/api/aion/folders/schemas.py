"""Bodies of ``/folders``."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from ocelli.domain.folders import MAX_MOVED, MAX_NAME, DeleteMode


class NewFolder(BaseModel):
    """A folder to make."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Summer 2025"}]})

    name: str = Field(min_length=1, max_length=MAX_NAME)
    parent_id: UUID | None = Field(None, description="The folder that it is in; null: the root.")


class FolderRename(BaseModel):
    """A new name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Summer"}]})

    name: str = Field(min_length=1, max_length=MAX_NAME)


class FolderMove(BaseModel):
    """A new place."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"new_parent_id": None}]})

    new_parent_id: UUID | None = Field(None, description="Null: the root.")


class FileMove(BaseModel):
    """Pictures that go into a folder."""

    file_ids: list[UUID] = Field(min_length=1, max_length=MAX_MOVED)
    folder_id: UUID | None = Field(None, description="Null: the root.")


class FolderOut(BaseModel):
    """A folder; the counts are of what is directly in it."""

    id: str
    name: str
    parent_id: str | None
    depth: int = Field(description="0 at the root.")
    file_count: int
    subfolder_count: int
    created_at: datetime
    updated_at: datetime


class FolderList(BaseModel):
    """All folders, each behind the one that it is in."""

    folders: list[FolderOut]


class Breadcrumb(BaseModel):
    """A folder on the way to another one."""

    id: str
    name: str
    depth: int


class Breadcrumbs(BaseModel):
    """The way to a folder from the root, with itself at the end."""

    breadcrumbs: list[Breadcrumb]


class FolderContents(Breadcrumbs):
    """What is in a folder; its pictures are those of `/user-files?folder_id=`."""

    folder: FolderOut | None = Field(description="Null for the root.")
    subfolders: list[FolderOut]
    total_files: int
    has_more_files: bool = Field(description="Whether there are pictures behind this page.")


class DeletedFolder(BaseModel):
    """What was deleted or moved with a folder."""

    id: str
    files_affected: int
    subfolders_affected: int
    mode: DeleteMode


class MovedFiles(BaseModel):
    """How many pictures were moved; ids that are unknown count in the second number only."""

    moved: int
    total_requested: int
