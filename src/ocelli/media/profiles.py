"""Colour profiles; a damaged or unsuitable one is ignored, and the picture taken as sRGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.media._vips import field, vips

if TYPE_CHECKING:
    import pyvips

_PROFILE = "icc-profile-data"
_SRGB = {"output_profile": "srgb"}
_APART = 128  # levels of 256


def usable(image: pyvips.Image) -> tuple[pyvips.Image, dict[str, str]]:
    """Return ``image`` without an invalid profile, and the options that convert it to sRGB.

    Without a profile the conversion would take seven times as long for nothing; CMYK is converted
    without being asked, by its profile or by one of libvips.
    """
    profile = field(image, _PROFILE)
    if profile is None:
        return image, {}
    if _fits(bytes(profile)[16:20], image) and _works(image):
        return image, {} if image.interpretation == "cmyk" else _SRGB
    image = image.copy()
    image.remove(_PROFILE)
    return image, {}


def attached(image: pyvips.Image, profile: bytes) -> pyvips.Image:
    """Return the image with this profile."""
    image = image.copy()
    image.set_type(vips().GValue.blob_type, _PROFILE, profile)
    return image


def _fits(space: bytes, image: pyvips.Image) -> bool:
    """Return whether a profile of this colour space fits the image."""
    if image.interpretation == "cmyk":
        return space == b"CMYK"
    return space == (b"GRAY" if image.bands < 3 else b"RGB ")


def _works(image: pyvips.Image) -> bool:
    """Return whether the profile works: a damaged one fails, or maps black and white to one."""
    most = 65535 if image.format == "ushort" else 255
    probe = vips().Image.new_from_array([[0, most]]).cast(image.format)
    probe = probe.bandjoin([probe] * (image.bands - image.hasalpha() - 1))
    probe = probe.copy(interpretation=image.interpretation)
    probe.set_type(vips().GValue.blob_type, _PROFILE, field(image, _PROFILE))
    try:
        dark, light = probe.icc_transform("srgb", embedded=True).bandmean().numpy()[0]
    except vips().Error:
        return False
    return abs(int(light) - int(dark)) >= _APART
