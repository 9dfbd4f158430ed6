"""One picture: how much of an analysis is our own code rather than the models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.photos import make_photos
from benchmarks.processes import ONE_CORE
from benchmarks.report import Bench, Row, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ocelli.backends.local.backend import LocalBackend

NAME = "analysis"
TARGET = Target(1.10, "at most")
EMBEDDED = Target(0.10, "at most")
PHONE = 15  # the sixteenth photo of the set has the size of one from a phone


@dataclass(frozen=True)
class Look:
    """Milliseconds of one analysis."""

    decode: float
    wall: float
    models: dict[str, float]

    @property
    def network(self) -> float:
        """Inside networks."""
        return sum(self.models.values())


def run(bench: Bench) -> Iterator[Row]:
    """Each photo several times in turns; of each its median; of these the sums."""
    os.environ.update(ONE_CORE)
    from ocelli.backends.local.backend import LocalBackend
    from ocelli.cli.demo import sample_photos

    backend = LocalBackend()
    bench.say(f"{NAME}: loading the models")
    backend.load()
    phone = make_photos(bench.folder / "phone", PHONE + 1)[PHONE]
    rounds = 3 if bench.quick else 9
    bench.say(f"{NAME}: {rounds} rounds over the sample photos")
    photos = sample_photos()
    looks = _medians([[_look(backend, path) for path in photos] for _ in range(rounds)])
    models = sum(each.network for each in looks)
    against = "sum of its model calls"
    for what, ours in (
        ("look at decoded pixels", sum(each.wall for each in looks)),
        ("decode and look", sum(each.wall + each.decode for each in looks)),
    ):
        yield Row(NAME, what, ours / len(looks), "ms", models / len(looks), against, TARGET)
    worst = max(looks, key=lambda each: (each.wall + each.decode) / each.network)
    yield Row(
        NAME,
        "decode and look, the sample photo with the worst ratio",
        worst.wall + worst.decode,
        "ms",
        worst.network,
        against,
    )
    (large,) = _medians([[_look(backend, phone)] for _ in range(rounds)])
    yield Row(
        NAME,
        "decode and look, 12 megapixels",
        large.wall + large.decode,
        "ms",
        large.network,
        against,
    )
    for model in sorted({model for each in looks for model in each.models}):
        spent = sum(each.models.get(model, 0.0) for each in looks)
        yield Row(NAME, model, spent / len(looks), "ms")
    embedding, decoded = _embedding(backend, photos, rounds), sum(each.decode for each in looks)
    look = (sum(each.wall for each in looks) + decoded) / len(looks)
    yield Row(NAME, "the vector of a description", embedding, "ms", look, "the look", EMBEDDED)
    own = sum(each.wall - each.network for each in looks) / len(looks)
    yield Row(NAME, "our own steps: resizing, boxes, letters, shapes, colours, words", own, "ms")
    yield Row(NAME, "decoding", decoded / len(looks), "ms")
    yield Row(
        NAME,
        "pictures a second and core",
        1000 * len(looks) / sum(each.wall + each.decode for each in looks),
        "/s",
    )


def _look(backend: LocalBackend, path: Path) -> Look:
    from ocelli.media.decode import decode

    data = path.read_bytes()
    started = perf_counter()
    picture = decode(data, max_pixels=100_000_000)
    decoded = perf_counter()
    _, timing = backend.look_timed(picture.pixels)
    return Look((decoded - started) * 1000, timing.wall_ms, dict(timing.model_ms))


def _embedding(backend: LocalBackend, photos: Sequence[Path], rounds: int) -> float:
    """Return the milliseconds of the vector of what is said of a photo, on average."""
    from ocelli.backends.local.embedder import MiniLmEmbedder
    from ocelli.backends.local.runtime import Runtime
    from ocelli.media.decode import decode
    from ocelli.usecases.text_index import mean_vector

    embedder = MiniLmEmbedder(Runtime())
    embedder.embed("warm")
    times = []
    for path in photos:
        findings, _ = backend.look_timed(decode(path.read_bytes(), max_pixels=100_000_000).pixels)
        tags = ", ".join(tag.name for tag in findings.tags)
        said = (findings.description, tags, findings.visible_text)
        texts = [text for text in said if text]
        turns = []
        for _ in range(rounds):
            started = perf_counter()
            mean_vector(embedder, texts)
            turns.append((perf_counter() - started) * 1000)
        times.append(median(turns))
    return sum(times) / len(times)


def _medians(rounds: Sequence[Sequence[Look]]) -> list[Look]:
    """Per picture."""
    return [
        Look(
            median(each.decode for each in turns),
            median(each.wall for each in turns),
            {
                model: median(each.models.get(model, 0.0) for each in turns)
                for model in turns[0].models
            },
        )
        for turns in zip(*rounds, strict=True)
    ]
