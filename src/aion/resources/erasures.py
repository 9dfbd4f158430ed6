"""Pictures erased for good, and the receipts: ``client.erasures``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aion._paths import segment
from aion.resources._base import Resource, require
from aion.types.erasures import Erasure, ErasureList

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PICTURES = 100


class ErasuresResource(Resource):
    """Erase pictures for good, and read the receipts; the key must be an administrator's."""

    async def create(self, image_ids: Sequence[str]) -> Erasure:
        """Erase pictures for good: they cannot be brought back.

        Args:
            image_ids: whole ids of 1 to 100 pictures, also of deleted ones.

        Raises:
            ValidationError: no ids, or too many.
            ResourceNotFoundError: an id is of no picture; then none is erased.
            AionvisionPermissionError: the key is not an administrator's.
        """
        count = len(image_ids)
        require(1 <= count <= MAX_PICTURES, f"give 1 to {MAX_PICTURES} ids", "image_ids")
        body = {"image_ids": list(image_ids)}
        return Erasure.from_api_response(await self._http.json("POST", "/erasures", json=body))

    async def list(self, *, limit: int = 50, offset: int = 0) -> ErasureList:
        """A page of receipts, the newest first: what was erased on request and by retention.

        Raises:
            ValidationError: an argument makes no sense.
            AionvisionPermissionError: the key is not an administrator's.
        """
        require(1 <= limit <= 100, "limit is from 1 to 100", "limit")
        require(offset >= 0, "offset is 0 or more", "offset")
        params = {"limit": limit, "offset": offset}
        answer = await self._http.json("GET", "/erasures", params=params)
        return ErasureList.from_api_response(answer)

    async def get(self, erasure_id: str) -> Erasure:
        """One receipt.

        Raises:
            ResourceNotFoundError: there is no such erasure.
            AionvisionPermissionError: the key is not an administrator's.
        """
        require(bool(erasure_id), "give an id", "erasure_id")
        answer = await self._http.json("GET", f"/erasures/{segment(erasure_id)}")
        return Erasure.from_api_response(answer)
