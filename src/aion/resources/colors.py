"""The colours of pictures: ``client.colors``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aion._paths import segment
from aion._shape import list_of
from aion.resources._base import Resource, flag, given, pages, require
from aion.types.colors import (
    BatchColorExtractionResult,
    ColorExtractionResult,
    ColorFamily,
    ColorFamilyInfo,
    ColorSearchResponse,
    ColorSearchResult,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class ColorsResource(Resource):
    """Extract colours, and find pictures by them."""

    async def extract(
        self, image_id: str, *, force: bool = False, n_colors: int = 16
    ) -> ColorExtractionResult:
        """Begin to extract the colours of a picture (uploads do so by themselves).

        Args:
            image_id: the picture.
            force: again, even if it was done.
            n_colors: how many at most, 3 to 16.

        Raises:
            ValidationError: ``n_colors`` outside 3 to 16.
            ResourceNotFoundError: no such picture.
        """
        _check_count(n_colors)
        params = {"force": flag(force), "n_colors": n_colors}
        path = f"/colors/images/{segment(image_id)}/extract"
        return ColorExtractionResult.from_api_response(
            await self._http.json("POST", path, params=params)
        )

    async def get(self, image_id: str) -> ColorExtractionResult:
        """The colours of a picture, or how far their extraction has come.

        Raises:
            ResourceNotFoundError: no such picture.
        """
        answer = await self._http.json("GET", f"/colors/images/{segment(image_id)}")
        return ColorExtractionResult.from_api_response(answer)

    async def search(
        self,
        *,
        hex_code: str | None = None,
        color_name: str | None = None,
        color_family: ColorFamily | str | None = None,
        delta_e_threshold: float = 15.0,
        min_percentage: float = 5.0,
        limit: int = 50,
        offset: int = 0,
    ) -> ColorSearchResponse:
        """Pictures with a colour, the best first. At least one criterion is needed.

        Args:
            hex_code: e.g. ``#ff8800``.
            color_name: e.g. ``navy``.
            color_family: e.g. ``warm``.
            delta_e_threshold: how far the colour may be, 0 to 100 (CIE ΔE).
            min_percentage: how much of the picture it must cover, 0 to 100.
            limit: size of the page, 1 to 200.
            offset: where it begins.

        Raises:
            ValidationError: no criterion, or a value outside these.
        """
        return await self._page(
            hex_code=hex_code,
            color_name=color_name,
            color_family=color_family,
            delta_e_threshold=delta_e_threshold,
            min_percentage=min_percentage,
            limit=limit,
            offset=offset,
        )

    async def _page(
        self,
        *,
        hex_code: str | None,
        color_name: str | None,
        color_family: ColorFamily | str | None,
        delta_e_threshold: float,
        min_percentage: float,
        limit: int,
        offset: int = 0,
        **where: Any,
    ) -> ColorSearchResponse:
        criteria = given(hex_code=hex_code, color_name=color_name, color_family=color_family)
        require(bool(criteria), "give hex_code, color_name or color_family", "hex_code")
        good_hex = hex_code is None or re.fullmatch(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", hex_code)
        require(bool(good_hex), f"{hex_code!r} is not a colour like #ff8800", "hex_code")
        for name, value in (
            ("delta_e_threshold", delta_e_threshold),
            ("min_percentage", min_percentage),
        ):
            require(0 <= value <= 100, f"{name} must be from 0 to 100", name)
        require(1 <= limit <= 200, "limit must be from 1 to 200", "limit")
        require(offset >= 0, "offset must not be negative", "offset")
        body = {
            **criteria,
            "delta_e_threshold": delta_e_threshold,
            "min_percentage": min_percentage,
            "limit": limit,
            "offset": offset,
            **where,
        }
        answer = await self._http.json("POST", "/colors/search", json=body)
        return ColorSearchResponse.from_api_response(answer)

    async def search_all(
        self,
        *,
        hex_code: str | None = None,
        color_name: str | None = None,
        color_family: ColorFamily | str | None = None,
        delta_e_threshold: float = 15.0,
        min_percentage: float = 5.0,
        page_size: int = 50,
    ) -> AsyncIterator[ColorSearchResult]:
        """All matches, page by page; the criteria are those of :meth:`search`.

        Raises:
            ValidationError: a value that :meth:`search` does not take.
        """

        async def fetch(
            where: dict[str, Any],
        ) -> tuple[Sequence[ColorSearchResult], bool, str | None]:
            page = await self._page(
                hex_code=hex_code,
                color_name=color_name,
                color_family=color_family,
                delta_e_threshold=delta_e_threshold,
                min_percentage=min_percentage,
                limit=page_size,
                **where,
            )
            return page.results, page.has_more, page.next_cursor

        async for match in pages(fetch):
            yield match

    async def list_families(self) -> list[ColorFamilyInfo]:
        """The families that ``search`` knows."""
        answer = await self._http.json("GET", "/colors/families")
        return [ColorFamilyInfo.from_api_response(item) for item in list_of(answer)]

    async def batch_extract(
        self, image_ids: Sequence[str], *, force: bool = False, n_colors: int = 16
    ) -> BatchColorExtractionResult:
        """Begin to extract the colours of several pictures.

        Raises:
            ValidationError: no picture, or ``n_colors`` outside 3 to 16.
        """
        require(bool(image_ids), "give at least one id", "image_ids")
        _check_count(n_colors)
        body = {"image_ids": [*image_ids], "force": force, "n_colors": n_colors}
        answer = await self._http.json("POST", "/colors/batch/extract", json=body)
        return BatchColorExtractionResult.from_api_response(answer)


def _check_count(n_colors: int) -> None:
    require(3 <= n_colors <= 16, "n_colors must be from 3 to 16", "n_colors")
