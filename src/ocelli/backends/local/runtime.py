"""OpenVINO, which runs every network, and the cache of what it compiled.

The only module that imports it. Compiling all networks takes seconds and reading a compiled one
hundredths, so each is kept as a file named after everything that it depends on and its own sha256:
a file that was damaged is not used, and made again. It is mapped rather than read: processes share
its pages.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import inspect
import mmap
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocelli.backends.local.model_files import Weights

M_MMAP_THRESHOLD, LARGE_BLOCK = -3, 4 << 20  # of glibc's malloc.h; bytes
# A compiled network that was not used for so long is of another version, and is deleted.
UNUSED_SECONDS = 30 * 24 * 3600


class Precision(StrEnum):
    """What networks calculate in."""

    AUTO = "auto"
    F32 = "f32"
    BF16 = "bf16"


@dataclass(frozen=True, slots=True)
class Runtime:
    """How networks are run: on one thread, because workers scale by processes.

    ``folder`` keeps compiled networks; one that cannot be written to is done without. ``AUTO`` is
    bf16 where the processor calculates in it, else f32.
    """

    folder: Path = field(default_factory=lambda: cache_folder())
    precision: Precision = Precision.AUTO

    def network(
        self,
        name: str,
        weights: Weights,
        build: Callable[[Any, Path], Any],
        *,
        precision: Precision | None = None,
    ) -> Network:
        """The network ``name``, compiled before or now, from what ``build`` makes of its weights.

        ``build`` gets openvino and the file, and returns an ``openvino.Model``. ``precision`` is
        that of a network which needs one of its own. WrongWeights if the file is not the pinned
        one.
        """
        import numpy as np

        core, options = _core(), _options(precision or self.precision)
        processor = platform.machine(), core.get_property("CPU", "FULL_DEVICE_NAME")
        source = Path(inspect.getfile(build)).read_bytes()
        parts = weights.sha256, source, _openvino().__version__, *processor, *options.values()
        key = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]
        for path in self.folder.glob(f"{name}-{key}-*.bin"):
            mapped = _intact(path)
            if mapped is not None:
                array = np.frombuffer(mapped, np.uint8)
                tensor = _openvino().Tensor(array, shared_memory=True)
                network = Network(core.import_model(tensor, "CPU", options), mapped)
                network.release()  # it has been read once; its first call may be long after
                return network
        compiled = core.compile_model(build(_openvino(), weights.verified()), "CPU", options)
        _keep(self.folder, f"{name}-{key}", compiled.export_model().getbuffer())
        return Network(compiled)


def _options(precision: Precision) -> dict[str, Any]:
    if precision is Precision.AUTO:
        native = "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precision = Precision.BF16 if native else Precision.F32
    return {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": str(precision),
        # Kept kernels of every shape of a line cost 80 MB and saved no time.
        "CPU_RUNTIME_CACHE_CAPACITY": 0,
    }


class Network:
    """A compiled network. Not thread-safe.

    ``inputs`` is how many arrays it takes. ``mapped`` is the file that its weights lie in, which it
    needs for as long as it lives.
    """

    def __init__(self, compiled: Any, mapped: mmap.mmap | None = None) -> None:
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._outputs = range(len(compiled.outputs))
        self.inputs = len(compiled.inputs)
        self._mapped = mapped

    def __call__(self, *inputs: Any) -> list[Any]:
        """Every output, as arrays that hold until the next call."""
        for at, array in enumerate(inputs):
            self._request.set_input_tensor(at, _openvino().Tensor(array, shared_memory=True))
        self._request.infer()
        return [self._request.get_output_tensor(each).data for each in self._outputs]

    def release(self) -> None:
        """Give up the memory of the last call, and its outputs. The next call takes it anew.

        So do pages of the file: calculated is with a copy in another order. Nothing writes to them.
        """
        self._compiled.release_memory()
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)


def trim() -> None:
    """Give memory that is free back to the system, where the C library can."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def cache_folder() -> Path:
    """Where compiled networks are kept if no other folder is given: the user's own cache."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if given.startswith("/") else Path("~/.cache").expanduser()
    return base / "ocelli"


def prepare() -> None:
    """Import what every network needs, for 0.3 s: threads cannot share that."""
    import cv2  # noqa: F401

    _core().get_property("CPU", "FULL_DEVICE_NAME")  # loads what knows this processor


@cache
def _openvino() -> Any:
    # Telemetry would look up a name and write under HOME; the converter of other formats, which
    # imports it, costs 0.1 s. OpenVINO does without them.
    for unused in ("openvino_telemetry", "openvino.tools.ovc"):
        sys.modules.setdefault(unused, None)  # type: ignore[arg-type]
    import openvino

    return openvino


@cache
def _core() -> Any:
    # What a call takes is given back when it ends, and leaves no holes: 50 MB of a page of text.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
    return _openvino().Core()


def _intact(path: Path) -> mmap.mmap | None:
    """The mapped content of a file whose name says its sha256; None, and no file, if it differs."""
    with contextlib.suppress(OSError, ValueError):  # gone, or empty
        with path.open("rb") as file:
            # A tensor has to be writable; what is written would stay here.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        if hashlib.sha256(mapped).hexdigest()[:16] == path.stem.rpartition("-")[2]:
            os.utime(path)
            return mapped
    with contextlib.suppress(OSError):
        path.unlink()
    return None


def _keep(folder: Path, name: str, content: Any) -> None:
    """Write a private file in one step, and delete what is not used any more."""
    path = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}.bin"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _temporary(folder) as file:
            file.write(content)
            file.flush()
            Path(file.name).replace(path)
        for other in folder.glob("*.bin"):
            if other.stat().st_mtime < time.time() - UNUSED_SECONDS:
                other.unlink()


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[Any]:
    """A new file that only its owner can read; gone afterwards unless it got another name."""
    file = tempfile.NamedTemporaryFile(dir=folder, delete=False)  # noqa: SIM115
    try:
        with file:
            yield file
    finally:
        Path(file.name).unlink(missing_ok=True)
