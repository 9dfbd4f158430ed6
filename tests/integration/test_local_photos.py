"""The local backend on real photos with the real models."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ocelli.backends.local import model_files
from ocelli.backends.local.backend import LocalBackend
from ocelli.backends.local.detect import models
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.stopwatch import Timing
from ocelli.domain.claims import Claim, ClaimCheck, ClaimType, Ruling
from ocelli.domain.errors import AnalysisFailed
from ocelli.domain.findings import Findings
from ocelli.domain.ports_backends import Backend, Evidence
from ocelli.domain.questions import Question
from ocelli.usecases.sight_test import run_sight_test

FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}


@dataclass(frozen=True)
class Photo:
    pixels: Any
    data: bytes = b""

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


def photo(name: str) -> np.ndarray:
    for package, folder in FOLDERS.items():
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        path = Path(spec.origin).parent / folder / name
        if path.exists():
            with Image.open(path) as image:
                return np.array(image.convert("RGB"))
    raise FileNotFoundError(name)


Look = Callable[[str], tuple[Findings, Timing]]


@pytest.fixture(scope="module")
def backend() -> LocalBackend:
    backend = LocalBackend()
    backend.load()
    return backend


@pytest.fixture(scope="module")
def look(backend: LocalBackend) -> Look:
    return cache(lambda name: backend.look_timed(photo(name)))


async def test_they_see(backend: LocalBackend) -> None:
    """At run time nothing asks that, as nothing lies between them and the picture."""
    report = await run_sight_test(backend, Random(7))
    assert report.sees
    assert [each.trial.name for each in report.answers] == ["words", "blank"]


def words(findings: Findings) -> str:
    assert findings.description
    assert findings.confidence is not None
    return findings.description.lower()


@pytest.mark.parametrize(
    ("name", "expected", "unsaid"),
    [
        ("chelsea.png", ["cat"], ["dog", "text"]),
        ("coffee.png", ["cup", "table", "espresso"], ["text"]),
        ("motorcycle_left.png", ["motorcycle"], ["bicycle"]),
        ("camera.png", ["person", "tripod", "in black and white"], ["text"]),
        ("astronaut.png", ["person"], ["football", "helmet", "face"]),
        ("page.png", ["page of text", "region-based segmentation"], ["crossword"]),
        ("horse.png", ["a drawing of a horse"], ["dog", "retriever"]),
        ("rocket.jpg", ["probably a rocket"], []),
        ("china.jpg", ["building"], ["text"]),
        ("flower.jpg", ["something", "dark teal"], ["mushroom", "daisy"]),
        ("moon.png", ["something", "grey"], ["tick"]),
    ],
)
def test_descriptions(look: Look, name: str, expected: list[str], unsaid: list[str]) -> None:
    said = words(look(name)[0])
    assert all(word in said for word in expected), said
    assert not any(word in said for word in unsaid), said


def test_an_astronaut_has_one_face(look: Look) -> None:
    assert len(look("astronaut.png")[0].faces) == 1


def test_a_rocket_is_no_animal(look: Look) -> None:
    assert not any(lexicon().is_a(tag.name, "animal") for tag in look("rocket.jpg")[0].tags)


def test_a_page_is_read_completely_and_in_order(look: Look) -> None:
    lines = (look("page.png")[0].visible_text or "").split("\n")
    assert len(lines) == 7
    assert lines[0] == "Region-based segmentation"
    assert lines[3].startswith("unambiguously as either object")
    assert "markers = np.zeros" in lines[6]


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "camera.png", "china.jpg"])
def test_patterns_are_not_text(look: Look, name: str) -> None:
    assert look(name)[0].visible_text is None


def test_confidence_tells_a_cat_from_a_guess(look: Look) -> None:
    cat, guess, nothing = (look(n)[0].confidence for n in ("chelsea.png", "china.jpg", "moon.png"))
    assert cat is not None
    assert guess is not None
    assert nothing is not None
    assert cat > 0.9 > guess > nothing > 0


def test_the_same_pixels_give_the_same_findings(look: Look, backend: LocalBackend) -> None:
    first = look("chelsea.png")[0]
    again = backend.look_sync(photo("chelsea.png"))
    assert replace(again, model_ms=0) == replace(first, model_ms=0)


def test_our_own_code_costs_little_beside_the_models(look: Look) -> None:
    timings = [look(name)[1] for name in ("coffee.png", "motorcycle_left.png", "page.png")]
    wall = sum(timing.wall_ms for timing in timings)
    assert wall <= 1.10 * sum(timing.total_model_ms for timing in timings)
    assert look("coffee.png")[0].model_ms == pytest.approx(timings[0].total_model_ms)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (7, 5), (10, 400), (2048, 30)])
def test_any_size(backend: LocalBackend, size: tuple[int, int]) -> None:
    findings = backend.look_sync(np.full((*size, 3), 90, np.uint8))
    assert findings.confidence == pytest.approx(0.1)
    assert [tag.name for tag in findings.tags] == ["dark grey"]


async def test_look_runs_in_the_given_executor() -> None:
    with ThreadPoolExecutor(1) as executor:
        backend: Backend = LocalBackend(executor)
        findings = await backend.look(Photo(np.zeros((32, 32, 3), np.uint8)), Question())
    assert findings.source == backend.name == "ocelli-local"
    assert findings.model_version.startswith("local-")


async def test_what_is_there_is_seen_again(backend: LocalBackend) -> None:
    picture = Photo(photo("chelsea.png"))
    made = await backend.look(picture, Question())
    for nth in (1, 2):
        check = await again(backend, picture, made, nth=nth)
        rulings = dict(zip((c.text for c in made.claims), check.verdicts, strict=True))
        assert rulings["There is a cat."].ruling is Ruling.SUPPORTED
        assert all(verdict.ruling is not Ruling.CONTRADICTED for verdict in check.verdicts)


async def test_what_the_other_view_makes_unlikely_goes(backend: LocalBackend) -> None:
    picture = Photo(photo("chelsea.png"))
    made = await backend.look(picture, Question())
    doubtful = Claim("There is a bowl.", ClaimType.OBJECT, "bowl", belief=0.6)
    check = await backend.check(
        picture, [*made.claims, doubtful], description="", question=Question()
    )
    *_, verdict = check.verdicts
    assert verdict.ruling is Ruling.CONTRADICTED
    assert verdict.belief is not None
    assert verdict.belief < 0.5


@pytest.mark.parametrize("name", ["page.png", "coffee.png"])
async def test_text_is_read_once(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    picture = Photo(photo(name))
    made = await backend.look(picture, Question())

    def read_again(*_: Any) -> None:
        raise AssertionError("the text was read again")

    monkeypatch.setattr(models().text, "find", read_again)
    check = await again(backend, picture, made)
    told_once = [
        verdict.ruling
        for claim, verdict in zip(made.claims, check.verdicts, strict=True)
        if claim.type is ClaimType.TEXT
    ]
    assert set(told_once) <= {Ruling.UNKNOWN}


async def test_an_invented_text_and_an_invented_face_are_noticed(backend: LocalBackend) -> None:
    evidence: Evidence = backend
    page = await evidence.gather(Photo(photo("page.png")))
    assert page.description is None
    right = Claim("", ClaimType.TEXT, value="Region-based segmentation")
    wrong = Claim("", ClaimType.TEXT, value="Region-eased fragmentation")
    assert [ruling(evidence, claim, page) for claim in (right, wrong)] == [
        Ruling.SUPPORTED, Ruling.CONTRADICTED,
    ]  # fmt: skip
    check = await backend.check(
        Photo(photo("page.png")), [right, wrong], description="", question=Question()
    )
    assert [v.ruling for v in check.verdicts] == [Ruling.SUPPORTED, Ruling.CONTRADICTED]


async def test_small_things_are_found_at_full_resolution(backend: LocalBackend) -> None:
    wide = Image.new("RGB", (2600, 1500), (90, 120, 90))
    wide.paste(Image.fromarray(photo("horse.png")), (1900, 900))
    ImageDraw.Draw(wide).text((300, 300), "Harbour Market", (255, 255, 255), font_size=18)
    file = BytesIO()
    wide.save(file, "PNG")
    shown = Photo(np.array(wide.resize((520, 300))), file.getvalue())
    quick = await backend.look(shown, Question())
    thorough = await backend.look(shown, Question(), thorough=True)
    assert "horse" not in [one.name for one in quick.objects]
    (horse,) = [one for one in thorough.objects if one.name == "horse"]
    assert horse.box.center == pytest.approx((2100 / 2600, 1064 / 1500), abs=0.05)
    assert quick.visible_text is None
    assert thorough.visible_text == "Harbour Market"
    check = await again(backend, shown, thorough, thorough=True)
    assert all(verdict.ruling is not Ruling.CONTRADICTED for verdict in check.verdicts)


def ruling(evidence: Evidence, claim: Claim, seen: Findings) -> Ruling | None:
    verdict = evidence.judge(claim, seen)
    return verdict.ruling if verdict else None


async def again(
    backend: LocalBackend, picture: Photo, made: Findings, *, nth: int = 1, thorough: bool = False
) -> ClaimCheck:
    return await backend.check(
        picture,
        made.claims,
        description=made.description or "",
        question=Question(),
        thorough=thorough,
        nth=nth,
    )


def test_grey_pixels_are_refused(backend: LocalBackend) -> None:
    with pytest.raises(AnalysisFailed, match="RGB uint8"):
        backend.look_sync(np.zeros((10, 10), np.uint8))


def test_installed_weights_are_the_pinned_ones(backend: LocalBackend) -> None:
    assert model_files.verify() == []
    seeing = [each for each in model_files.models() if each.name != model_files.EMBEDDING]
    assert all(model.loaded for model in seeing)
