"""The tree that pictures are sorted into: ``client.folders``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aion._paths import segment
from aion.resources._base import Resource, given, require
from aion.types.folders import (
    DeleteFolderResult,
    Folder,
    FolderBreadcrumbs,
    FolderContents,
    FolderTree,
    MoveFilesResult,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_FOLDER_NAME_LENGTH = 255
FORBIDDEN_NAME_CHARS = frozenset({"/", "\\", "\0"})
VALID_DELETE_MODES = frozenset({"move_to_parent", "delete_all"})
MAX_MOVE_FILES_BATCH = 100


class FoldersResource(Resource):
    """Make folders, look at them, move and delete them, and put pictures into them."""

    async def tree(self) -> FolderTree:
        """All folders, flat, each behind the one that it is in."""
        return FolderTree.from_api_response(await self._http.json("GET", "/folders"))

    async def get(self, folder_id: str, *, limit: int = 50, offset: int = 0) -> FolderContents:
        """What is in a folder; ``root`` is above all.

        Args:
            folder_id: its id.
            limit: how many pictures a page has; only ``has_more_files`` depends on it.
            offset: where the page begins.

        Raises:
            ResourceNotFoundError: there is no such folder.
            ValidationError: an argument makes no sense.
        """
        params = {"limit": limit, "offset": offset}
        answer = await self._http.json("GET", _path(folder_id), params=params)
        return FolderContents.from_api_response(answer)

    async def get_breadcrumbs(self, folder_id: str) -> FolderBreadcrumbs:
        """The way to a folder from the root.

        Raises:
            ResourceNotFoundError: there is no such folder.
            ValidationError: the id is empty.
        """
        answer = await self._http.json("GET", f"{_path(folder_id)}/breadcrumbs")
        return FolderBreadcrumbs.from_api_response(answer)

    async def create(self, name: str, *, parent_id: str | None = None) -> Folder:
        """Make a folder.

        Args:
            name: 1 to 255 characters, no slash, no backslash.
            parent_id: the folder that it is in; by default the root.

        Raises:
            ValidationError: the name cannot be one, or there would be more than ten levels.
            ResourceNotFoundError: there is no such parent.
            AionvisionError: the name is taken there; ``code`` is ``CONFLICT``.
        """
        require(parent_id != "", "an id, or None for the root", "parent_id")
        body = given(name=_name(name), parent_id=parent_id)
        return Folder.from_api_response(await self._http.json("POST", "/folders", json=body))

    async def rename(self, folder_id: str, name: str) -> Folder:
        """Give a folder another name.

        Raises:
            ValidationError: the name cannot be one.
            ResourceNotFoundError: there is no such folder.
            AionvisionError: the name is taken there; ``code`` is ``CONFLICT``.
        """
        body = {"name": _name(name)}
        return Folder.from_api_response(await self._http.json("PATCH", _path(folder_id), json=body))

    async def move(self, folder_id: str, *, new_parent_id: str | None = None) -> Folder:
        """Put a folder into another one, with all that is in it; None: to the root.

        Raises:
            ValidationError: it would be in itself, or beyond ten levels.
            ResourceNotFoundError: there is no such folder, or parent.
            AionvisionError: its name is taken there; ``code`` is ``CONFLICT``.
        """
        body = {"new_parent_id": new_parent_id}
        answer = await self._http.json("POST", f"{_path(folder_id)}/move", json=body)
        return Folder.from_api_response(answer)

    async def delete(
        self, folder_id: str, *, mode: Literal["move_to_parent", "delete_all"] = "move_to_parent"
    ) -> DeleteFolderResult:
        """Delete a folder.

        Args:
            folder_id: its id.
            mode: ``move_to_parent`` keeps what is in it; ``delete_all`` deletes that too.

        Raises:
            ValidationError: no such mode.
            ResourceNotFoundError: there is no such folder.
            AionvisionError: a name in it is taken where it would go; ``code`` is ``CONFLICT``.
        """
        require(mode in VALID_DELETE_MODES, "move_to_parent or delete_all", "mode")
        answer = await self._http.json("DELETE", _path(folder_id), params={"mode": mode})
        return DeleteFolderResult.from_api_response(answer)

    async def move_files(
        self, file_ids: Sequence[str], *, folder_id: str | None = None
    ) -> MoveFilesResult:
        """Put 1 to 100 pictures into a folder; None: to the root. Unknown ids are passed over.

        Raises:
            ValidationError: none, more than 100, or one twice.
            ResourceNotFoundError: there is no such folder.
        """
        ids = list(file_ids)
        require(1 <= len(ids) <= MAX_MOVE_FILES_BATCH, "give 1 to 100 ids", "file_ids")
        require(len(set(ids)) == len(ids), "an id is given twice", "file_ids")
        body = {"file_ids": ids, "folder_id": folder_id}
        answer = await self._http.json("POST", "/folders/move-files", json=body)
        return MoveFilesResult.from_api_response(answer)


def _path(folder_id: str) -> str:
    require(bool(folder_id), "give an id", "folder_id")
    return f"/folders/{segment(folder_id)}"


def _name(name: str) -> str:
    require(1 <= len(name.strip()) <= MAX_FOLDER_NAME_LENGTH, "give 1 to 255 characters", "name")
    require(not FORBIDDEN_NAME_CHARS & set(name), "no slash, backslash or NUL", "name")
    return name
