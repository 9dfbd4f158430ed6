"""Descriptions that wait for a person: ``client.reviews``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aion._paths import segment
from aion.resources._base import Resource, given, in_thread, pages, require
from aion.resources.files import change
from aion.types.files import UpdateFileResult
from aion.types.reviews import (
    PictureLabel,
    PictureLabelList,
    ReviewItem,
    ReviewList,
    ReviewOutcome,
)

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Mapping, Sequence


class ReviewsResource(Resource):
    """Look at the most doubtful descriptions, and decide about them."""

    async def list(self, *, limit: int = 20, cursor: str | None = None) -> ReviewList:
        """One page of the pictures that wait, the most doubtful first.

        Args:
            limit: size of the page, 1 to 100.
            cursor: ``next_cursor`` of the page before.

        Raises:
            ValidationError: ``limit`` outside 1 to 100.
        """
        require(1 <= limit <= 100, "limit must be from 1 to 100", "limit")
        params = given(limit=limit, cursor=cursor)
        return ReviewList.from_api_response(await self._http.json("GET", "/reviews", params=params))

    async def list_all(self, *, page_size: int = 50) -> AsyncIterator[ReviewItem]:
        """All pictures that wait: ``async for item in client.reviews.list_all()``."""

        async def fetch(where: dict[str, Any]) -> tuple[Sequence[ReviewItem], bool, str | None]:
            page = await self.list(limit=page_size, cursor=where.get("cursor"))
            return page.items, page.has_more, page.next_cursor

        async for item in pages(fetch):
            yield item

    async def next(self) -> ReviewItem | None:
        """The most doubtful picture, the same until it is decided about; None when none waits.

        One that could not be described waits for ``correct``, or to be described again.
        """
        page = await self.list(limit=1)
        return page.items[0] if page.items else None

    async def accept(self, *items: ReviewItem | str) -> ReviewOutcome:
        """Approve 1 to 100 descriptions; their words stay first whatever a machine says later.

        Each is decided by itself: ``failed`` names those that are gone, or that were changed or
        described again since the item was read (ids are taken as they are now).

        Raises:
            ValidationError: none, or more than 100.
        """
        return await self._decide("accept", items)

    async def reject(self, *items: ReviewItem | str) -> ReviewOutcome:
        """Reject 1 to 100 descriptions: they are not shown until a picture is described again.

        Raises:
            ValidationError: none, or more than 100.
        """
        return await self._decide("reject", items)

    async def correct(
        self,
        item: ReviewItem | str,
        *,
        title: str | None = None,
        tags: Sequence[str] | None = None,
        description: str | None = None,
        alt_text: str | None = None,
        rejected_tags: Sequence[str] | None = None,
        claims: Sequence[Mapping[str, Any]] | None = None,
    ) -> UpdateFileResult:
        """Change what is said of a picture, and approve it; the fields are those of
        ``client.files.update``.

        Raises:
            AionvisionError: with code ``CONFLICT``, if others were faster.
            ResourceNotFoundError: no such picture.
        """
        id, revision = (item, None) if isinstance(item, str) else (item.file.id, item.file.revision)
        body = change(
            title=title,
            tags=tags,
            description=description,
            alt_text=alt_text,
            rejected_tags=rejected_tags,
            claims=claims,
            review="approved",
            revision=revision,
        )
        path = f"/user-files/{segment(id)}"
        return UpdateFileResult.from_api_response(await self._http.json("PATCH", path, json=body))

    async def labels(self, *, page_size: int = 100) -> AsyncIterator[PictureLabel]:
        """What people said of all pictures, as labels."""

        async def fetch(where: dict[str, Any]) -> tuple[Sequence[PictureLabel], bool, str | None]:
            params = given(limit=page_size, cursor=where.get("cursor"))
            answer = await self._http.json("GET", "/reviews/labels", params=params)
            page = PictureLabelList.from_api_response(answer)
            return page.labels, page.has_more, page.next_cursor

        async for label in pages(fetch):
            yield label

    async def export_labels(self, folder: str | os.PathLike[str]) -> int:
        """Write the labelled pictures and ``labels.jsonl`` into a folder; return how many.

        ``ocelli eval FOLDER --labels FOLDER/labels.jsonl`` measures by them, and calibrates with
        ``--fit``.
        """
        target = Path(folder)
        await in_thread(target.mkdir, parents=True, exist_ok=True)
        lines = []
        async for each in self.labels():
            data = await self._http.download(f"/user-files/{segment(each.image_id)}/download")
            name = Path(each.label["file"]).name
            await in_thread((target / name).write_bytes, data)
            known = {key: value for key, value in each.label.items() if value is not None}
            lines.append(json.dumps(known, ensure_ascii=False) + "\n")
        await in_thread((target / "labels.jsonl").write_text, "".join(lines), encoding="utf-8")
        return len(lines)

    async def _decide(self, what: str, items: Sequence[ReviewItem | str]) -> ReviewOutcome:
        require(1 <= len(items) <= 100, "give 1 to 100 pictures", "items")
        body = {"items": [_target(each) for each in items]}
        return ReviewOutcome.from_api_response(
            await self._http.json("POST", f"/reviews/{what}", json=body)
        )


def _target(item: ReviewItem | str) -> dict[str, Any]:
    if isinstance(item, str):
        return {"file_id": item}
    return {
        "file_id": item.file.id,
        "revision": item.file.revision,
        "analysis_id": item.analysis_id,
    }
