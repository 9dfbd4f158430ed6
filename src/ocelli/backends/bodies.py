"""Bodies of answers, with a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

PIECE = 64 * 1024


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the decompressed body; what is longer is cut after a little more than ``limit`` bytes.

    ``response.content.read(limit)`` returns what happens to be there, which may be a part.
    """
    data = bytearray()
    async for piece in response.content.iter_chunked(PIECE):
        data += piece
        if len(data) > limit:
            break
    return bytes(data)
