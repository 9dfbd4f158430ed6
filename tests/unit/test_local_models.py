from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ocelli.backends.local import model_files
from ocelli.backends.local.backend import LocalBackend
from ocelli.backends.local.detect import ModelSet
from ocelli.backends.local.embedder import MiniLmEmbedder
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.neural_models import shares
from ocelli.backends.local.runtime import Runtime
from ocelli.backends.local.stopwatch import Stopwatch, Timing
from ocelli.domain.errors import AnalysisFailed, FailureType, Unavailable


def test_small_scores_of_a_group_add_up_to_its_parent() -> None:
    scores = [0.0] * 1000
    for index, name in enumerate(lexicon().scenes):
        if lexicon().parent(name) == "dog":
            scores[index] = 0.006
    assert shares(scores)["dog"] == pytest.approx(0.006 * 118)


def test_a_single_class_is_listed_with_its_parent() -> None:
    scores = [0.0] * 1000
    scores[lexicon().scenes.index("Siamese cat")] = 0.6
    scores[lexicon().scenes.index("tabby cat")] = 0.2
    found = {noun: round(share, 2) for noun, share in shares(scores).items() if share}
    assert found == {"cat": 0.8, "Siamese cat": 0.6, "tabby cat": 0.2}


def test_classes_of_one_name_are_one_label() -> None:
    scores = [0.0] * 1000
    scores[657], scores[744] = 0.5, 0.3
    assert shares(scores)["rocket"] == pytest.approx(0.8)


def test_inventory_names_source_and_licence_of_every_model() -> None:
    listed = model_files.models()
    seeing = {"objects", "scene", "text", "safety", "faces"}
    assert {model.name for model in listed} == {*seeing, "embedding"}
    for model in listed:
        assert model.package_version
        assert model.licence
        assert model.origin
        assert all(file.locate().stat().st_size == file.size for file in model.files)


def test_verify_tells_a_file_that_is_not_the_pinned_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_files.info("faces")
    wrong = replace(model, files=(replace(model.files[0], sha256="0" * 64),))
    gone = replace(model, files=(replace(model.files[0], path="ocelli/no/such/file"),))
    monkeypatch.setattr(model_files, "models", lambda: [wrong, gone])
    changed, missing = model_files.verify()
    assert (changed.model, changed.found) == ("faces", model.files[0].sha256)
    assert missing.found is None


@pytest.mark.parametrize("model", model_files.models(), ids=lambda model: model.name)
def test_no_changed_weights_are_loaded(
    model: model_files.ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "changed"
    data = bytearray(model.files[0].locate().read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    monkeypatch.setattr(model_files.ModelFile, "locate", lambda _: changed)
    runtime = Runtime(tmp_path / "cache")
    load: Callable[[], object] = partial(MiniLmEmbedder(runtime).embed, "cat")
    if model.name != model_files.EMBEDDING:
        network = next(each for each in ModelSet().all if each.name == model.name)
        network.runtime = runtime
        load = network.load
    with pytest.raises((model_files.WrongWeights, Unavailable), match="sha256 differs"):
        load()


def test_weights_that_are_not_installed() -> None:
    with pytest.raises(FileNotFoundError, match="no_such_package"):
        model_files.ModelFile("no_such_package/model.onnx", "", 0).locate()


def test_model_version_is_stable() -> None:
    assert LocalBackend().model_version == LocalBackend().model_version
    assert len(LocalBackend().model_version) <= 32


def test_model_version_covers_the_word_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    before = model_files.fingerprint()
    monkeypatch.setattr(model_files, "WORD_LISTS", model_files.WORD_LISTS[:-1])
    model_files.fingerprint.cache_clear()
    assert model_files.fingerprint() != before
    model_files.fingerprint.cache_clear()


def test_only_color_pixels_are_accepted() -> None:
    for pixels in (None, [[0]], b""):
        with pytest.raises(AnalysisFailed) as failed:
            LocalBackend().look_sync(pixels)
        assert failed.value.type is FailureType.VALIDATION
        assert not failed.value.retryable


def test_clock_adds_up_per_model() -> None:
    clock = Stopwatch()
    for _ in range(2):
        with clock("scene"):
            pass
    assert list(clock.model_ms) == ["scene"]
    timing = Timing(20.0, {"scene": 10.0, "text": 5.0})
    assert timing.total_model_ms == 15.0
