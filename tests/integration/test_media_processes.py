"""What reading pictures does to a process of its own: its imports, memory and first calls."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from PIL import Image
from tests.unit.test_media_pictures import exif, noise, saved
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_short_memory_is_a_resource_limit(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    Image.new("RGB", (6000, 6000)).save(path)
    done = run(f"""
import resource
from pathlib import Path
import numpy
from ocelli.domain.errors import AnalysisFailed
from ocelli.media._vips import vips
from ocelli.media.decode import decode
vips()
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 6 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    decode(Path({str(path)!r}).read_bytes(), max_pixels=50_000_000)
except AnalysisFailed as failure:
    print(failure.type, failure.retryable)
""")
    assert (done.stdout.strip(), done.returncode) == ("resource_limit True", 0), done.stderr


def test_importing_costs_nothing_and_stderr_stays_quiet(tmp_path: Path) -> None:
    path = tmp_path / "bad.jpg"
    data = saved(noise(), "JPEG", exif=exif(taken=b"\xff\xfe\x80"))
    path.write_bytes(data[: len(data) // 2])
    done = run(f"""
import logging, sys
from pathlib import Path
import ocelli.media.variants, ocelli.media.decode
assert not {{"numpy", "pyvips"}} & set(sys.modules)
logging.basicConfig(level=logging.INFO)
try:
    ocelli.media.decode.decode(Path({str(path)!r}).read_bytes(), max_pixels=10**9)
except ocelli.media.decode.AnalysisFailed:
    print("refused")
""")
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_the_first_pictures_of_a_process_may_come_together() -> None:
    """In a fresh process, as libvips is configured once in each."""
    code = """
import io, sys
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
from ocelli.media.encode import jpeg
from ocelli.media.sanitize import sanitized
from ocelli.media.header import read_header
stream = io.BytesIO()
Image.new("RGB", (8, 8)).save(stream, "PNG")
with ThreadPoolExecutor(16) as pool:
    headers = list(pool.map(lambda _: read_header(stream.getvalue(), max_pixels=100), range(64)))
print(len(headers))
"""
    for _ in range(3):
        done = run(code)
        assert done.stdout.strip() == "64", done.stderr[-500:]
