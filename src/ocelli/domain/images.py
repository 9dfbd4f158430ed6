"""A stored picture and its variants."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import asin, cos, radians, sin, sqrt
from typing import TYPE_CHECKING

from ocelli.domain.edits import NONE, Annotations

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.analysis import Analysis


class ImageFormat(StrEnum):
    """The formats that are accepted; the value is that of the API."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    GIF = "gif"
    HEIC = "heic"
    AVIF = "avif"
    TIFF = "tiff"
    BMP = "bmp"

    @property
    def content_type(self) -> str:
        """The MIME type."""
        return f"image/{self.value}"

    @property
    def suffix(self) -> str:
        """The usual file name suffix, with its dot."""
        return ".jpg" if self is ImageFormat.JPEG else f".{self.value}"

    @property
    def label(self) -> str:
        """The name for people."""
        return "WebP" if self is ImageFormat.WEBP else self.name


*_OTHERS, _LAST = (format.label for format in ImageFormat)
FORMATS = f"{', '.join(_OTHERS)} or {_LAST}"
"""All formats, for sentences of messages and documents."""

CONTENT_TYPES = frozenset(
    {"image/jpg", "image/heif", "image/x-ms-bmp"} | {format.content_type for format in ImageFormat}
)
"""The MIME types by which clients call them."""


class StorageTarget(StrEnum):
    """Which store holds the original: the server's, or the tenant's own bucket."""

    DEFAULT = "default"
    CUSTOM = "custom"


class VariantType(StrEnum):
    """Sizes of a picture; the number is the longer side in pixels."""

    ORIGINAL = "original"
    TINY = "tiny_64"
    SMALL = "small_256"
    MEDIUM_512 = "medium_512"
    MEDIUM = "medium_750"
    LARGE = "large_1024"

    @property
    def side(self) -> int | None:
        """Longer side in pixels; None for the original."""
        return None if self is VariantType.ORIGINAL else int(self.value.rsplit("_", 1)[1])


class VariantStatus(StrEnum):
    """The state of an image's variants."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, slots=True)
class Coordinates:
    """A place on earth, in degrees (WGS 84); north and east are positive."""

    latitude: float
    longitude: float

    def __str__(self) -> str:
        return f"{self.latitude:.6f}, {self.longitude:.6f}"

    def km_to(self, other: Coordinates) -> float:
        """Return the distance along the surface, in kilometres."""
        here, there = radians(self.latitude), radians(other.latitude)
        east = radians(other.longitude - self.longitude)
        chord = (
            sin((there - here) / 2) ** 2 + cos(here) * cos(there) * sin(east / 2) ** 2
        )  # the haversine
        return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(chord)))


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The header of an image file. ``width`` and ``height`` are upright pixels.

    ``whole`` is what a decoder holds of the whole image at a time, ``row`` one row of its pixels,
    both in bytes.
    """

    format: ImageFormat
    width: int
    height: int
    taken_at: datetime | None = None
    taken_where: Coordinates | None = None
    whole: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class Variant:
    """One smaller copy of an image in the store."""

    type: VariantType
    object_key: str
    width: int
    height: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Original:
    """Where the file of a picture is stored."""

    image_id: UUID
    object_key: str
    storage_target: StorageTarget


@dataclass(frozen=True, slots=True)
class Image:
    """A stored picture.

    ``title``, ``tags`` and ``annotations`` are written by people only; ``revision`` counts their
    changes. ``analysis`` is the newest analysis that was not called off, None if there was none;
    ``described`` is the newest completed one, which holds while the picture is described again.
    What is shown of all of it says ``ocelli.domain.effective``. ``content_created_at`` and
    ``content_location`` are what the file says of when and where it was taken. ``sha256`` is
    hexadecimal, of the original bytes.
    """

    id: UUID
    tenant_id: UUID
    filename: str
    object_key: str
    content_type: str
    format: ImageFormat
    size_bytes: int
    sha256: str
    width: int
    height: int
    created_at: datetime
    updated_at: datetime
    upload_method: str = "STREAMING"
    storage_target: StorageTarget = StorageTarget.DEFAULT
    session_id: UUID | None = None
    folder_id: UUID | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    content_created_at: datetime | None = None
    content_location: Coordinates | None = None
    blur_hash: str | None = None
    variant_status: VariantStatus = VariantStatus.PENDING
    variant_error: str | None = None
    deleted_at: datetime | None = None
    variants: tuple[Variant, ...] = ()
    analysis: Analysis | None = field(default=None)
    described: Analysis | None = field(default=None)
    revision: int = 0
    annotations: Annotations = field(default=NONE, hash=False)
