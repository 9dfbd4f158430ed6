"""Edits and reviews over HTTP, by two people with the SDK."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_files import add
from tests.integration.test_main_job import API, noise
from tests.integration.test_sessions import upload_batch

from aion import AionvisionError, ResourceNotFoundError, SyncAionVision, UpdateFileResult


@pytest.fixture
def ada(server: Server) -> Iterator[SyncAionVision]:
    """A person with a tenant of her own."""
    key = server.new_key(f"words-{uuid.uuid4()}")
    with SyncAionVision(key, base_url=server.url) as client:
        yield client


def picture(server: Server, ada: SyncAionVision, seed: int) -> str:
    return add(server, seed, {"Authorization": f"Bearer {ada.config.api_key}"})


def test_of_two_at_once_the_second_is_told_what_changed(
    server: Server, ada: SyncAionVision
) -> None:
    id = picture(server, ada, 810)
    read = ada.files.get(id)

    def says(title: str) -> UpdateFileResult | AionvisionError:
        try:
            return ada.files.update(id, title=title, revision=read.revision)
        except AionvisionError as error:
            return error

    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(says, ("One", "Other")))
    (won,) = (each for each in answers if isinstance(each, UpdateFileResult))
    (refused,) = (each for each in answers if isinstance(each, AionvisionError))
    assert (refused.code, refused.details["revision"]) == ("CONFLICT", 1)
    (change,) = refused.details["changes"]
    assert (change["field"], change["value"], change["previous"]) == ("title", won.title, None)
    assert ada.files.get(id).title == won.title


def test_history_in_pages_and_undo(server: Server, ada: SyncAionVision) -> None:
    id = picture(server, ada, 811)
    for title in ("One", "Two", "Three"):
        ada.files.update(id, title=title)
    first = ada.files.edits(id, limit=2)
    assert [each.value for each in first.edits] == ["Three", "Two"]
    rest = ada.files.edits(id, limit=2, cursor=first.next_cursor)
    assert ([each.value for each in rest.edits], rest.has_more) == (["One"], False)
    with pytest.raises(AionvisionError) as refused:
        ada.files.undo(id, rest.edits[0].id)
    assert [each["value"] for each in refused.value.details["changes"]] == ["Two", "Three"]
    assert ada.files.undo(id, first.edits[0].id).title == "Two"
    assert ada.files.edits(id).edits[0].undoes == first.edits[0].id
    with pytest.raises(ResourceNotFoundError):
        ada.files.undo(id, str(uuid.uuid4()))


def test_decisions_about_several_hinder_each_other_not(server: Server, ada: SyncAionVision) -> None:
    written, silent, deleted = (picture(server, ada, seed) for seed in (812, 813, 814))
    ada.files.update(written, description="Noise.")
    ada.files.delete(deleted)
    outcome = ada.reviews.accept(written, silent, deleted, "no-such")
    assert [each.id for each in outcome.done] == [written]
    assert {each.id: each.code for each in outcome.failed} == {
        silent: "VALIDATION_ERROR",
        deleted: "NOT_FOUND",
        "no-such": "NOT_FOUND",
    }
    found = ada.files.get(written)
    assert (found.review_status, found.description_source) == ("approved", "person")
    assert found.reviewed_at is not None
    assert ada.reviews.next() is None
    corrected = ada.reviews.correct(silent, alt_text="Noise", description="Only noise.")
    assert (corrected.review_status, corrected.alt_text) == ("approved", "Noise")


def test_results_of_uploads_tell_a_persons_words_first(
    server: Server, ada: SyncAionVision, tmp_path: Path
) -> None:
    """Of the session that brought a picture, and of a later upload of the same bytes."""
    key = ada.config.api_key
    batch = upload_batch(server, [("a.png", noise(815))], key).json()
    id, session = batch["immediate_results"][0]["image_id"], batch["session_id"]
    ada.uploads.wait_for_description(id)
    ada.files.update(id, description="Noise of mine.", tags=["own"])
    path = f"{server.url}{API}/uploads/sessions/{session}"
    headers = {"Authorization": f"Bearer {key}"}
    status = requests.get(f"{path}/status", headers=headers, timeout=60).json()
    assert [each["description"] for each in status["recent_completions"]] == ["Noise of mine."]
    (result,) = requests.get(f"{path}/results", headers=headers, timeout=60).json()["results"]
    assert (result["description"], result["description_source"]) == ("Noise of mine.", "person")
    assert (result["tags"], result["tags_source"]) == (["own"], "person")
    assert result["ai_description"]
    (tmp_path / "again.png").write_bytes(noise(815))
    again = ada.upload_one(tmp_path / "again.png")
    assert (again.image_id, again.description, again.tags) == (id, "Noise of mine.", ["own"])
    assert (again.description_source, again.tags_source) == ("person", "person")
