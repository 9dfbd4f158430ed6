"""``make demo``: the sample photos of scikit-image and scikit-learn, or those that PHOTOS names."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from pathlib import Path

from ocelli.cli.describe import describe
from ocelli.cli.output import CANNOT_RUN, PRIVATE, fail
from ocelli.distribution import pip_install

# Photos (and one page of text) that these packages carry. Those of scikit-image are CC0 or in the
# public domain; china.jpg is by danielbuechele and flower.jpg by vultilion, both CC BY 2.0.
SAMPLES = {
    "skimage": (
        "data",
        "astronaut.png camera.png chelsea.png coffee.png motorcycle_left.png page.png rocket.jpg",
    ),
    "sklearn": ("datasets/images", "china.jpg flower.jpg"),
}


def sample_photos() -> list[Path]:
    """Return the installed sample photos, without importing their packages."""
    photos = []
    for package, (folder, names) in SAMPLES.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            photos += [Path(spec.origin).parent / folder / name for name in names.split()]
    return [photo for photo in photos if photo.exists()]


def named_photos(text: str) -> list[Path]:
    """Return the path in PHOTOS, or the several: with quotes around those that hold spaces.

    >>> named_photos("a.jpg 'my pics'")
    [PosixPath('a.jpg'), PosixPath('my pics')]
    """
    whole = Path(text).expanduser()
    if not text.strip() or whole.exists():
        return [whole] if text.strip() else []
    try:
        return [Path(name).expanduser() for name in shlex.split(text)]
    except ValueError:  # a quote that is part of the name
        return [whole]


def main() -> int:
    """Describe the photos; return the exit code: 0 if one could be described."""
    os.umask(PRIVATE)
    paths = named_photos(os.environ.get("PHOTOS", "")) or sample_photos()
    if not paths:
        fail("no sample photos here", pip_install("server", "dev"))
        return CANNOT_RUN
    return describe(paths, as_json=False, level="standard", tolerant=True)


if __name__ == "__main__":
    sys.exit(main())
