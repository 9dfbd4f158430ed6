"""Pictures to measure with, made from the sample photos; the same ones every time."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from ocelli.cli.demo import sample_photos

if TYPE_CHECKING:
    from pathlib import Path

# Longer sides: mostly small pictures, which are hard on us (our share of the work is larger), and
# one in sixteen as a phone takes it.
SIDES = (400, 640, 480, 720, 640, 800, 512, 600, 640, 960, 560, 720, 1280, 800, 1600, 4000)
SEED = 7


def make_photos(folder: Path, count: int) -> list[Path]:
    """``count`` JPEGs: varied crops of the sample photos, some mirrored, in varied sizes."""
    import cv2

    folder.mkdir(parents=True)
    chance = random.Random(SEED)
    samples = [cv2.imread(str(path), cv2.IMREAD_COLOR) for path in sample_photos()]
    paths = []
    for number in range(count):
        pixels = samples[number % len(samples)]
        assert pixels is not None
        height, width = pixels.shape[:2]
        share = chance.uniform(0.7, 1.0)
        down, across = int(height * share), int(width * share)
        top, left = chance.randint(0, height - down), chance.randint(0, width - across)
        crop = pixels[top : top + down, left : left + across]
        if chance.random() < 0.3:
            crop = cv2.flip(crop, 1)
        scale = SIDES[number % len(SIDES)] / max(down, across)
        size = round(across * scale), round(down * scale)
        resized = cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC)
        path = folder / f"photo-{number:03}.jpg"
        cv2.imwrite(str(path), resized, [cv2.IMWRITE_JPEG_QUALITY, chance.randint(80, 95)])
        paths.append(path)
    return paths


def make_large(path: Path, size: int) -> Path:
    """A JPEG that every decoder accepts, followed by random bytes up to ``size``."""
    photo = next(sample for sample in sample_photos() if sample.suffix == ".jpg").read_bytes()
    with path.open("wb") as file:
        file.write(photo)
        file.write(os.urandom(size - len(photo)))
    return path
