"""Text that does not stand upright is read as what it says, not as letters that it resembles."""

import numpy as np
import pytest

from ocelli.backends.local.clock import Clock
from ocelli.backends.local.eyes import models
from ocelli.backends.local.runtime import Runtime
from ocelli.cli.demo import sample_photos
from ocelli.media.decode import decode


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turned_page_reads_the_same(quarters: int) -> None:
    (path,) = (path for path in sample_photos() if path.stem == "page")
    pixels = decode(path.read_bytes(), max_pixels=10**8).pixels
    reader = models().text
    reader.load(Runtime())
    read = reader.find(np.ascontiguousarray(np.rot90(pixels, quarters)), Clock())
    said = " ".join(line.text for line in read)
    assert all(words in said for words in ("extreme parts", "determine markers", "np.zeros_like"))
    assert min(line.score for line in read) > 0.9
