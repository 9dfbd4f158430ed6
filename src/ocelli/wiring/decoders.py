"""The decoders of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.accounts import MEGABYTE
from ocelli.media import memory
from ocelli.usecases.capacity import WAIT_TIMEOUT
from ocelli.usecases.decoders import DecoderPool

if TYPE_CHECKING:
    from ocelli.settings import Settings

DECODED = 64 * MEGABYTE  # a picture of 2,048 a side, and what is made of it


def decoder_pool(settings: Settings, *, part: int = 1, wait: float = WAIT_TIMEOUT) -> DecoderPool:
    """Return the decoders of one process, with a ``1 / part`` of the memory for one picture."""
    budget = memory.allowed(settings.max_pixels) + DECODED
    return DecoderPool(max_pixels=settings.max_pixels, budget=budget // part, wait=wait)
