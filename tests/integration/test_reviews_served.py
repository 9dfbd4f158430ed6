"""Edits and reviews over HTTP, by two people with the SDK."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.conftest import Server
from tests.integration.test_files import add

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
