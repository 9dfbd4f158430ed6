"""The colours of pictures: extraction, and the search by colour."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from ocelli.domain.colors import ColorMatch, ColorQuery, Extraction, RgbColor, match_score
from ocelli.domain.errors import NotFound, ValidationFailed
from ocelli.domain.paging import PageRequest
from ocelli.media import colors
from ocelli.media.decode import MAX_SIDE, decode
from ocelli.usecases.job_failures import is_settled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.colors import Palette
    from ocelli.domain.images import Image
    from ocelli.domain.paging import Key
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.decoders import DecoderPool
    from ocelli.usecases.store_resolver import StoreResolver


NEAR = 20.0  # ΔE2000, within which a colour looks like another
MOST_NEAREST = 1_000  # pictures


class Colors:
    """Use cases around the colours of a tenant's pictures."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def get(self, tenant_id: UUID, id: str) -> Extraction:
        """Return the state of a picture's extraction. Raises NotFound."""
        async with self._database.transaction() as tx:
            image = await tx.images.get(tenant_id, id)
            if image is None:
                raise NotFound("File", id)
            found = await tx.colors.get(tenant_id, image.id)
        return found or Extraction(image.id, tenant_id)

    async def request(self, tenant_id: UUID, id: str, *, n_colors: int, force: bool) -> Extraction:
        """Enqueue an extraction, if there is none or ``force`` is set. Raises NotFound."""
        image_id = (await self.get(tenant_id, id)).image_id
        await self.request_many(tenant_id, [image_id], n_colors=n_colors, force=force)
        return await self.get(tenant_id, str(image_id))

    async def request_many(
        self, tenant_id: UUID, ids: Sequence[UUID], *, n_colors: int, force: bool
    ) -> int:
        """Enqueue extractions; return how many. Unknown ids are ignored."""
        async with self._database.transaction() as tx:
            queued = await tx.colors.request(tenant_id, ids, n_colors=n_colors, force=force)
            for image_id in queued:
                await tx.jobs.extract_colors(image_id)
        return len(queued)

    async def search(
        self, tenant_id: UUID, query: ColorQuery, page: PageRequest
    ) -> tuple[Sequence[ColorMatch], int, Key | None]:
        """Return a page of matches, best first, the total number, and the key of the last match.

        The key is None on the last page.

        Without ``query.near`` every match has the score 1, and the larger share comes first.
        """
        cells = None
        if query.near is not None:
            cells = await asyncio.to_thread(colors.cells_near, query.near, query.threshold)
        async with self._database.transaction() as tx:
            numbers, found, percentages = await tx.colors.candidates(tenant_id, query, cells)
            ranked, total = await asyncio.to_thread(_best, query, numbers, found, percentages, page)
            best, more = page.cut(ranked)
            ids = await tx.colors.image_ids([each.number for each in best])
        matches = [
            ColorMatch(
                ids[each.number],
                match_score(each.distance, query.threshold),
                RgbColor.of_number(each.rgb),
                each.percentage,
            )
            for each in best
            if each.number in ids
        ]
        return matches, total, best[-1].key if more and best else None

    async def nearest(self, tenant_id: UUID, color: RgbColor) -> Sequence[UUID]:
        """Return the pictures that have a main colour near this one, the nearest first.

        At most ``MOST_NEAREST``.
        """
        query = ColorQuery(near=color, threshold=NEAR)
        matches, _, _ = await self.search(tenant_id, query, PageRequest(MOST_NEAREST))
        return [each.image_id for each in matches]

    async def load(
        self, tenant_id: UUID, matches: Sequence[ColorMatch]
    ) -> tuple[Mapping[UUID, Image], Mapping[UUID, Extraction]]:
        """Return the pictures of a page of matches, and all their colours."""
        ids = [match.image_id for match in matches]
        async with self._database.transaction() as tx:
            images = await tx.images.by_ids(ids)
            palettes = await tx.colors.palettes(ids)
        return {image.id: image for image in images if image.tenant_id == tenant_id}, palettes


class ExtractColors:
    """The job that extracts the colours of a picture. Safe to run twice."""

    def __init__(
        self,
        database: PostgresDatabase,
        stores: StoreResolver,
        decoders: DecoderPool,
    ) -> None:
        self._database = database
        self._stores = stores
        self._decoders = decoders

    async def run(self, id: UUID, *, last_attempt: bool) -> None:
        """Extract and store the colours. Raises an error for a retry."""
        async with self._database.transaction() as tx:
            image = await tx.images.find(id)
            extraction = await tx.colors.start(id)
        if image is None or extraction is None:
            return
        try:
            palette = await self._extract(image, extraction.n_colors)
        except Exception as error:
            message = "The colours could not be extracted."
            give_up = partial(self.give_up, id)
            if await is_settled(error, give_up, message, last_attempt=last_attempt):
                return
            raise
        async with self._database.transaction() as tx:
            await tx.colors.complete(id, palette)

    async def give_up(self, id: UUID, reason: str) -> None:
        """Fail the extraction: of a broken picture, or because its workers died."""
        async with self._database.transaction() as tx:
            await tx.colors.fail(id, reason)

    async def _extract(self, image: Image, max_colors: int) -> Palette:
        store = await self._stores.store_of(image)
        data = await store.read(image.object_key)

        def work() -> Palette:
            picture = decode(data, max_pixels=self._decoders.max_pixels)
            return colors.extract(picture.pixels, max_colors=max_colors)

        return await self._decoders.decode(image.tenant_id, data, work, side=MAX_SIDE)


def resolve_name(name: str) -> tuple[str | None, RgbColor | None]:
    """Return the colour of a name: one of our names, or else the RGB of a CSS name.

    Raises ValidationFailed for a name that is neither.

    >>> named("Dark_Gray")
    ('dark grey', None)
    >>> named("tomato")
    (None, RgbColor(r=255, g=99, b=71))
    """
    words = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    own_name = words.replace("gray", "grey")
    if own_name in colors.names():
        return own_name, None
    css = colors.css_colors().get(words.replace(" ", ""))
    if css is None:
        known = ", ".join(sorted(colors.names()))
        raise ValidationFailed(
            f"Unknown colour name. Known are {known}, and those of CSS.", field="color_name"
        )
    return None, css


@dataclass(frozen=True, slots=True)
class _Fit:
    """The colour of a picture that fits best; ``number`` stands for the picture."""

    number: int
    distance: float
    rgb: int
    percentage: float

    @property
    def key(self) -> Key:
        """By what matches have their order: the nearest, the larger share, the older number."""
        return (self.distance, -self.percentage, self.number)


def _best(
    query: ColorQuery,
    numbers: Sequence[int],
    found: Sequence[int],
    percentages: Sequence[float],
    page: PageRequest,
) -> tuple[list[_Fit], int]:
    """The best fits of one page, and one more; and how many there are in all."""
    import numpy as np

    of, rgb, shares = np.array(numbers, np.int64), np.array(found, np.int64), np.array(percentages)
    distances = np.zeros(len(rgb))
    if query.near is not None:
        near = colors.lab_of(colors.unpacked(np.array(query.near.number)))
        # Rounded: the last bits depend on how many are computed together.
        distances = colors.delta_e(near, colors.lab_of(colors.unpacked(rgb))).round(6)
    order = np.lexsort((of, -shares, distances))
    order = order[distances[order] <= query.threshold]
    _, firsts = np.unique(of[order], return_index=True)
    best = order[np.sort(firsts)]
    fits = (_Fit(int(of[at]), float(distances[at]), int(rgb[at]), float(shares[at])) for at in best)
    offset = page.offset
    if (after := page.after) is not None:
        fits, offset = (fit for fit in fits if fit.key > after), 0
    return list(islice(fits, offset, offset + page.look_ahead)), len(best)
