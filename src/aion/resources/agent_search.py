"""Search in words: ``client.agent_search``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aion.resources._base import Resource, given, moment, require
from aion.types.agent_search import ImageSearchAgentResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date


class AgentSearchResource(Resource):
    """Search the library in words, by what they mean."""

    async def images(
        self,
        query: str,
        *,
        limit: int = 50,
        folder_id: str | None = None,
        image_ids: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        date_from: date | str | None = None,
        date_to: date | str | None = None,
    ) -> ImageSearchAgentResult:
        """The pictures that ``query`` describes, the best first.

        Args:
            query: 1 to 2,000 characters, such as ``"a red car by night"``.
            limit: how many, from 1 to 500.
            folder_id: search this folder only.
            image_ids: search these pictures only, at most 1,000.
            tags: only pictures with all of them.
            date_from: not older than this (a date, a datetime, or ISO 8601).
            date_to: not newer than this.

        Raises:
            ValidationError: an argument makes no sense.
        """
        require(1 <= len(query) <= 2_000, "give 1 to 2,000 characters", "query")
        require(1 <= limit <= 500, "limit is from 1 to 500", "limit")
        ids = None if image_ids is None else list(image_ids)
        body = given(
            query=query,
            limit=limit,
            folder_id=folder_id,
            image_ids=ids,
            tags=tags and list(tags),
            date_from=moment(date_from),
            date_to=moment(date_to),
        )
        answer = await self._http.json("POST", "/agents/search/images", json=body)
        return ImageSearchAgentResult.from_api_response(answer)
