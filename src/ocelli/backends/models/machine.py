"""What this machine has for a model: memory, processors, graphics cards."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ocelli.backends.models.catalogue import ModelRunner
from ocelli.processors import processors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocelli.backends.models.catalogue import Model

MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
VRAM_FILES = "class/drm/card*/device/mem_info_vram_total"  # of AMD's driver
ASK_TIMEOUT = 5.0
SHARE = 0.75  # of the memory, that a model may take


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics card; ``memory`` in bytes."""

    name: str
    memory: int


@dataclass(frozen=True, slots=True)
class Machine:
    """``memory`` in bytes, of the machine or its container; ``cores`` that may be used."""

    memory: int
    cores: int
    gpus: tuple[Gpu, ...] = ()

    @property
    def gpu_memory(self) -> int:
        """Bytes of the largest graphics card."""
        return max((gpu.memory for gpu in self.gpus), default=0)

    def fits(self, model: Model) -> bool:
        """Whether a graphics card holds the model, or the memory with enough for all else."""
        return self.fits_gpu(model) or (
            model.runner is ModelRunner.LLAMA_CPP and model.memory() <= self.memory * SHARE
        )

    def fits_gpu(self, model: Model) -> bool:
        """Whether a graphics card holds the model."""
        return model.memory() <= self.gpu_memory

    def best(self, models: Iterable[Model]) -> Model | None:
        """Return the largest model that a graphics card holds; without one the first that fits."""
        if self.gpus:
            return max(filter(self.fits_gpu, models), key=lambda each: each.size, default=None)
        return next(filter(self.fits, models), None)


@cache
def this_machine() -> Machine:
    """Look at the machine, once for each process."""
    return Machine(_memory(), processors(), tuple(_gpus()))


def llama_sees_gpus() -> bool:
    """Whether the installed llama.cpp can use a graphics card; asked in a process of its own, as
    drivers crash.
    """
    program = "import xllamacpp; print(len(xllamacpp.get_device_info()))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=ASK_TIMEOUT * 4,
            check=True,
        )
        return int(done.stdout.split()[-1]) > 1  # the processor is one of them
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return False


def gigabytes(size: int) -> str:
    """Return bytes as people read them."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _memory() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in MEMORY_LIMITS:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            total = min(total, int(text))
    return total


def _gpus() -> Iterator[Gpu]:
    yield from _nvidia()
    for path in Path("/sys").glob(VRAM_FILES):
        try:
            yield Gpu("AMD graphics card", int(path.read_text()))
        except (OSError, ValueError):
            continue
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        yield Gpu("Apple", int(_memory() * SHARE))  # it shares the machine's memory


def _nvidia() -> Iterator[Gpu]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return
    try:
        done = subprocess.run(
            [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=ASK_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return
    for line in done.stdout.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if mebibytes.strip().isdecimal():
            yield Gpu(name.strip(), int(mebibytes) * 1024**2)
