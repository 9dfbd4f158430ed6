"""BlurHash, against the published algorithm written out slowly."""

from __future__ import annotations

from math import copysign, cos, pi

import numpy as np
import pytest

from ocelli.media.blurhash import encode

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def linear(value: int) -> float:
    v = value / 255
    return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4


def srgb(value: float) -> int:
    v = max(0.0, min(1.0, value))
    return int((v * 12.92 if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055) * 255 + 0.5)


def base83(value: int, length: int) -> str:
    return "".join(DIGITS[value // 83 ** (length - n) % 83] for n in range(1, length + 1))


def slowly(pixels: np.ndarray, nx: int, ny: int) -> str:
    height, width, _ = pixels.shape
    factors = []
    for j in range(ny):
        for i in range(nx):
            scale = (1 if i == j == 0 else 2) / (width * height)
            total = [0.0, 0.0, 0.0]
            for y in range(height):
                for x in range(width):
                    basis = cos(pi * i * x / width) * cos(pi * j * y / height)
                    for c in range(3):
                        total[c] += basis * linear(int(pixels[y, x, c]))
            factors.append([scale * value for value in total])
    dc, ac = factors[0], factors[1:]
    quantised = int(max(0, min(82, max(abs(v) for f in ac for v in f) * 166 - 0.5)))
    maximum = (quantised + 1) / 166
    result = base83(nx - 1 + (ny - 1) * 9, 1) + base83(quantised, 1)
    result += base83((srgb(dc[0]) << 16) + (srgb(dc[1]) << 8) + srgb(dc[2]), 4)
    for factor in ac:
        number = 0
        for value in factor:
            root = copysign(abs(value / maximum) ** 0.5, value)
            number = number * 19 + int(max(0, min(18, root * 9 + 9.5)))
        result += base83(number, 2)
    return result


@pytest.mark.parametrize(("height", "width"), [(12, 16), (16, 12), (9, 9), (1, 1), (1, 20)])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_as_written_out(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    pixels[: height // 2] //= 3
    wide = width >= height
    assert encode(pixels) == slowly(pixels, *((4, 3) if wide else (3, 4)))


def test_black_is_the_published_one() -> None:
    assert encode(np.zeros((48, 64, 3), np.uint8)) == "L00000fQfQfQfQfQfQfQfQfQfQfQ"
