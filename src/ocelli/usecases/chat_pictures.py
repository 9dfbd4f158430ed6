"""Load the pictures of a conversation: fetch or decode them, and check their headers.

Fetching and decoding are bounded in number and in bytes, and happen off the event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pybase64
from cachetools import LRUCache

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.chat import MAX_PICTURES
from ocelli.domain.chat_errors import (
    EmptyImage,
    ImageTooLarge,
    InvalidBase64Image,
    InvalidImageFormat,
    TooManyImages,
    UpstreamFailed,
    UpstreamUnavailable,
)
from ocelli.domain.errors import (
    AnalysisFailed,
    FailureType,
    FetchFailed,
    ImageProcessingFailed,
    InvalidImageUrl,
    InvalidUrl,
    NotInTime,
    TooLarge,
    ValidationFailed,
)
from ocelli.domain.images import FORMATS
from ocelli.media import memory
from ocelli.media.data_url import NotBase64, decode_data_url, is_bare_base64, is_data_url
from ocelli.media.dhash import SIDE as DHASH_SIDE
from ocelli.media.dhash import dhash
from ocelli.media.header import read_header
from ocelli.media.sanitize import sanitized
from ocelli.usecases.concurrency import bounded_map

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from ocelli.domain.chat import PictureRef
    from ocelli.domain.images import ImageHeader
    from ocelli.domain.ports_chat import PictureLimits
    from ocelli.domain.ports_fetch import Fetcher
    from ocelli.usecases.decoders import DecoderPool

    _Key = tuple[UUID, bytes, PictureLimits]

AT_ONCE = 8
ALL_UNPACKED = 4000 * MEGABYTE  # of all pictures of one request: 500 of two megapixels
ALL_BYTES = 75 * MEGABYTE  # of all fetched pictures of one request
PREPARED_BYTES = 64 * MEGABYTE

_ANY_SIZE = 1 << 62
_ENTRY = 200  # bytes of an entry beside its text, roughly
_ACCEPTED = f"Supported are {FORMATS}."


@dataclass(frozen=True, slots=True)
class OpenedPicture:
    """One picture whose header was checked.

    ``dhash`` says what it looks like, where it stands beside others (see media.dhash).
    """

    ref: PictureRef
    data: bytes
    sha256: str
    header: ImageHeader
    dhash: int | None = None


class PictureLoader:
    """Loads pictures, and caches the data URLs that it prepares. One per process."""

    def __init__(self, fetcher: Fetcher, decoders: DecoderPool, *, max_bytes: int) -> None:
        self._fetcher = fetcher
        self._decoders = decoders
        self._max_bytes = max_bytes
        self._prepared: LRUCache[_Key, str] = LRUCache(
            PREPARED_BYTES, lambda url: len(url) + _ENTRY
        )

    async def open(
        self, tenant_id: UUID, refs: Sequence[PictureRef], *, max_bytes: int
    ) -> list[OpenedPicture]:
        """Return all pictures, in their order; each address is read once.

        Raises ChatError, InvalidImageUrl.
        """
        self._check_count(refs, MAX_PICTURES)
        limit = min(self._max_bytes, max_bytes)
        budget = _Budget()

        async def read(ref: PictureRef) -> OpenedPicture:
            data = await self._bytes(ref, budget, limit)
            opened = await asyncio.to_thread(self._inspect, ref, data, limit)
            budget.unpack(opened)
            return opened

        async def compare(opened: OpenedPicture) -> OpenedPicture:
            return await self._compare(tenant_id, opened)

        distinct = {ref.url: ref for ref in reversed(refs)}  # the first place names the error
        opened = await bounded_map(read, list(distinct.values()), at_once=AT_ONCE)
        if len(opened) > 1:
            opened = await bounded_map(compare, opened, at_once=AT_ONCE)
        found = dict(zip(distinct, opened, strict=True))
        return [replace(found[ref.url], ref=ref) for ref in refs]

    async def prepare(
        self, tenant_id: UUID, refs: Sequence[PictureRef], limits: PictureLimits, *, max_bytes: int
    ) -> dict[str, str]:
        """Return the data URLs that replace addresses which a backend does not fetch itself.

        Raises ChatError, InvalidImageUrl.
        """
        self._check_count(refs, min(MAX_PICTURES, limits.max_count or MAX_PICTURES))
        limit = min(self._max_bytes, max_bytes)
        budget = _Budget()

        def inspect(refs: Sequence[PictureRef]) -> None:
            for ref in refs:
                budget.unpack(self._inspect(ref, _decode(ref), limit))

        async def one(ref: PictureRef) -> str:
            if _is_inline(ref):
                data = await asyncio.to_thread(_decode, ref)
            elif limits.fetches:
                _check_scheme(ref)
                with picture_errors(ref):
                    await self._fetcher.check(ref.url)
                return ref.url
            else:
                data = await self._bytes(ref, budget, limit)
                budget.unpack(await asyncio.to_thread(self._inspect, ref, data, limit))
            return await self._prepare(tenant_id, ref, data, limits)

        distinct = {ref.url: ref for ref in reversed(refs)}
        # Before the first of them is decoded.
        await asyncio.to_thread(inspect, [ref for ref in distinct.values() if _is_inline(ref)])
        prepared = await bounded_map(one, list(distinct.values()), at_once=AT_ONCE)
        return {url: new for url, new in zip(distinct, prepared, strict=True) if new != url}

    async def _bytes(self, ref: PictureRef, budget: _Budget, limit: int) -> bytes:
        if _is_inline(ref):
            return await asyncio.to_thread(_decode, ref)
        _check_scheme(ref)
        with picture_errors(ref):
            fetched = await self._fetcher.get(ref.url, max_bytes=limit)
        budget.spend(len(fetched.data), ref)
        return fetched.data

    async def _prepare(
        self, tenant_id: UUID, ref: PictureRef, data: bytes, limits: PictureLimits
    ) -> str:
        """Return the data URL.

        Remembered per tenant: or the time of an answer would tell who else has the picture.
        """
        key = (tenant_id, await asyncio.to_thread(_digest, data), limits)
        known = self._prepared.get(key)
        if known is not None:
            return known
        work = partial(
            sanitized,
            data,
            max_side=limits.max_side,
            max_bytes=limits.max_bytes,
            max_pixels=self._decoders.max_pixels,
        )
        with picture_errors(ref):
            jpeg = await self._decoders.decode(tenant_id, data, work, side=limits.max_side)
        url = await asyncio.to_thread(_as_data_url, jpeg)
        with suppress(ValueError):  # larger than all that is remembered
            self._prepared[key] = url
        return url

    async def _compare(self, tenant_id: UUID, opened: OpenedPicture) -> OpenedPicture:
        data = opened.data
        work = partial(dhash, data, max_pixels=self._decoders.max_pixels)
        with picture_errors(opened.ref):
            made = await self._decoders.decode(tenant_id, data, work, side=DHASH_SIDE)
        return replace(opened, dhash=made)

    def _inspect(self, ref: PictureRef, data: bytes, limit: int) -> OpenedPicture:
        if not data:
            raise EmptyImage("The image is empty (0 bytes).", param=ref.param)
        if len(data) > limit:
            raise ImageTooLarge(
                f"The image has {len(data):,} bytes, more than the {limit:,} that one may have.",
                param=ref.param,
            )
        with picture_errors(ref):
            header = read_header(data, max_pixels=_ANY_SIZE)
        max_count = self._decoders.max_pixels
        if header.width * header.height > max_count:
            raise ImageTooLarge(
                f"The image has {header.width:,} × {header.height:,} pixels, more than the "
                f"{max_count:,} that one may have.",
                param=ref.param,
            )
        if memory.needed(header, memory.SMALL) > memory.allowed(max_count):
            raise ImageTooLarge(
                "Decoding the image takes more memory than one may take. Save it smaller, neither "
                "progressive nor interlaced.",
                param=ref.param,
            )
        return OpenedPicture(ref, data, hashlib.sha256(data).hexdigest(), header)

    @staticmethod
    def _check_count(refs: Sequence[PictureRef], max_count: int) -> None:
        if len(refs) > max_count:
            raise TooManyImages(
                f"At most {max_count} image(s) may be in one request; there are {len(refs)}.",
                param="messages",
            )


class _Budget:
    """What all pictures of a request may weigh together: as they are fetched, and unpacked."""

    def __init__(self) -> None:
        self.left = ALL_BYTES
        self.unpacked = ALL_UNPACKED

    def unpack(self, opened: OpenedPicture) -> None:
        header = opened.header
        self.unpacked -= header.width * header.height * 4 + header.whole
        if self.unpacked < 0:
            raise ImageTooLarge(
                f"The images of this request unpack to more than {ALL_UNPACKED:,} bytes together: "
                "send fewer, or smaller ones.",
                param=opened.ref.param,
            )

    def spend(self, size: int, ref: PictureRef) -> None:
        self.left -= size
        if self.left < 0:
            raise ImageTooLarge(
                f"The images of this request weigh more than {ALL_BYTES:,} bytes together.",
                param=ref.param,
            )


@contextmanager
def picture_errors(ref: PictureRef) -> Iterator[None]:
    """Translate errors about a picture to ChatErrors with its place in the request."""
    try:
        yield
    except FetchFailed as error:
        raise InvalidImageUrl(error.message, field=ref.param) from error
    except InvalidUrl as error:
        raise InvalidImageUrl(f"Invalid image URL: {error.message}", field=ref.param) from error
    except TooLarge as error:
        raise ImageTooLarge(error.message, param=ref.param) from error
    except ValidationFailed as error:
        raise InvalidImageFormat(f"{error.message} {_ACCEPTED}", param=ref.param) from error
    except AnalysisFailed as error:
        if error.retryable:
            raise UpstreamUnavailable(error.message) from error
        if error.type is FailureType.RESOURCE_LIMIT:
            raise ImageTooLarge(error.message, param=ref.param) from error
        raise InvalidImageFormat(f"{error.message} {_ACCEPTED}", param=ref.param) from error
    except ImageProcessingFailed as error:
        kind = UpstreamUnavailable if error.retryable else UpstreamFailed
        raise kind(error.message) from error
    except NotInTime as error:
        raise UpstreamUnavailable(
            "The workers are busy: the picture was not looked at yet."
        ) from error


def _decode(ref: PictureRef) -> bytes:
    try:
        return decode_data_url(ref.url)
    except NotBase64 as error:
        raise InvalidBase64Image("Invalid base64 image_url.", param=ref.param) from error


def _is_inline(ref: PictureRef) -> bool:
    return is_data_url(ref.url) or is_bare_base64(ref.url)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _as_data_url(data: bytes) -> str:
    return "data:image/jpeg;base64," + pybase64.b64encode(data).decode()


def _check_scheme(ref: PictureRef) -> None:
    scheme = ref.url[:8].lower()
    if not scheme.startswith(("http://", "https://")):
        raise InvalidImageUrl(
            "Invalid image URL: it must begin with https:// or http://, or be a data URL "
            "(data:image/jpeg;base64,...).",
            field=ref.param,
        )
