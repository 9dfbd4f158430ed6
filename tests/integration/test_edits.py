"""What people say about pictures, against a real Postgres: kept, undone, told to the second one."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.integration.test_library import store
from tests.integration.test_storage import a_tenant, an_analysis, an_image

from ocelli.domain.analysis import Analysis, Failure, Status
from ocelli.domain.claims import Claim, ClaimType, JudgedClaim
from ocelli.domain.edits import Changes, ClaimChange, ClaimVerdict, EditField, ReviewStatus
from ocelli.domain.effective import Source, effective
from ocelli.domain.errors import FailureType, NotFound, ValidationFailed
from ocelli.domain.file_query import FileQuery
from ocelli.domain.history import HistoryQuery
from ocelli.domain.images import Image
from ocelli.domain.paging import PageRequest
from ocelli.domain.review import DoubtReason, assess
from ocelli.domain.search import parse
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.edits import EditConflict, Edits
from ocelli.usecases.reviews import Decision, Reviews

CUPS = JudgedClaim(
    Claim("There are three cups.", ClaimType.COUNT, "cup", 3, sentence=0),
    kept=True,
    probability=0.9,
)
ANSWER: dict[str, Any] = {
    "description": "There are three cups. A cat sleeps.",
    "tags": ("cup", "cat"),
    "claims": (CUPS,),
    "confidence": 0.9,
}


async def described(database: PostgresDatabase, **answer: Any) -> Image:
    image = replace(an_image(await a_tenant(database)), tags=())
    await store(database, image, **(ANSWER | answer))
    return image


async def describe_again(database: PostgresDatabase, image: Image, **answer: Any) -> Analysis:
    analysis = an_analysis(image)
    async with database.transaction() as tx:
        await tx.analyses.add(analysis)
        started = await tx.analyses.start(analysis.id)
        assert started is not None
        done = replace(started, **answer)
        assert await tx.analyses.complete(done)
        await tx.reviews.put(done, assess(done))
    return done


async def current(database: PostgresDatabase, image: Image) -> Image:
    async with database.transaction() as tx:
        found = await tx.images.get(image.tenant_id, str(image.id))
    assert found is not None
    return found


async def finds(database: PostgresDatabase, image: Image, text: str) -> bool:
    async with database.transaction() as tx:
        query = FileQuery(search=parse(text + " "))
        _, total = await tx.images.page(image.tenant_id, query, limit=1, offset=0)
    return total == 1


class Person:
    """A person at work on one picture."""

    def __init__(self, database: PostgresDatabase, image: Image, name: str = "Ada") -> None:
        self.edits = Edits(database)
        self.image = image
        self.name = name

    async def says(self, *, revision: int | None = None, **changes: Any) -> Image:
        return await self.edits.update(
            self.image.tenant_id,
            str(self.image.id),
            Changes(**changes),
            author=self.name,
            revision=revision,
        )

    async def history(self) -> list[Any]:
        page = await self.edits.history(self.image.tenant_id, str(self.image.id), PageRequest(100))
        return list(page.edits)

    async def undoes(self, edit_id: uuid.UUID) -> Image:
        return await self.edits.undo(
            self.image.tenant_id, str(self.image.id), edit_id, author=self.name
        )


async def test_words_stay_when_a_machine_describes_again(database: PostgresDatabase) -> None:
    image = await described(database)
    ada = Person(database, image)
    await ada.says(
        title="Breakfast",
        description="Two cups beside a newspaper.",
        alt_text="Two cups",
        tags=["coffee"],
        rejected_tags=["car"],
        claims=[
            ClaimChange("there are three cups", ClaimVerdict.CORRECTED, "There are two cups."),
            ClaimChange("It is morning.", ClaimVerdict.ADDED),
        ],
    )
    again = await describe_again(
        database, image, description="A blue car.", tags=("car", "bus"), confidence=0.4
    )
    now = await current(database, image)
    shown = effective(now)
    assert shown.title == "Breakfast"
    assert shown.description == "Two cups beside a newspaper."
    assert shown.alt_text == "Two cups"
    assert shown.tags == ("coffee",)
    assert shown.description_source is shown.tags_source is Source.PERSON
    assert now.described is not None
    assert now.described.id == again.id
    assert now.described.description == "A blue car."
    assert {each.claim for each in now.annotations.claims.values()} == {
        "There are three cups.",
        "It is morning.",
    }
    assert now.annotations.authorship[EditField.DESCRIPTION].author == "Ada"
    assert await finds(database, image, "newspaper coffee bus")
    assert not await finds(database, image, "car")
    async with database.transaction() as tx:
        records = await tx.history.page(image.tenant_id, HistoryQuery(), PageRequest(10))
        found = await tx.history.page(
            image.tenant_id, HistoryQuery(terms=("newspaper",)), PageRequest(10)
        )
    assert [each.machine and each.machine.description for each in records] == [
        "A blue car.",
        ANSWER["description"],
    ]
    assert {each.shown.description for each in records} == {"Two cups beside a newspaper."}
    assert len(found) == 2


async def test_what_is_taken_back_lets_the_machine_speak(database: PostgresDatabase) -> None:
    image = await described(database)
    ada = Person(database, image)
    await ada.says(description="Mine.", tags=["own"])
    after = await ada.says(description="", tags=[])
    shown = effective(after)
    assert shown.description == ANSWER["description"]
    assert shown.tags_source is Source.MACHINE
    assert after.revision == 2
    assert not after.annotations.authorship


async def test_history_and_undo(database: PostgresDatabase) -> None:
    image = await described(database)
    ada, bo = Person(database, image), Person(database, image, "Bo")
    await ada.says(title="One", description="First.")
    await bo.says(title="Two")
    two, first, one = await ada.history()
    assert (two.field, two.value, two.previous, two.author) == ("title", "Two", "One", "Bo")
    assert (first.field, one.field, one.previous) == ("description", "title", None)
    assert first.revision == one.revision == 1
    with pytest.raises(EditConflict) as refused:
        await ada.undoes(one.id)
    assert [each["author"] for each in refused.value.details["changes"]] == ["Bo"]
    assert (await ada.undoes(two.id)).title == "One"
    assert (await ada.undoes(one.id)).title is None
    newest = (await ada.history())[0]
    assert (newest.undoes, newest.author, newest.value) == (one.id, "Ada", None)
    assert (await current(database, image)).annotations.description == "First."
    with pytest.raises(NotFound):
        await ada.undoes(uuid.uuid4())


async def test_the_second_of_two_is_told_what_changed(database: PostgresDatabase) -> None:
    image = await described(database)
    ada, bo = Person(database, image), Person(database, image, "Bo")
    done = await asyncio.gather(
        ada.says(title="Ada's", revision=0), bo.says(title="Bo's", revision=0),
        return_exceptions=True,
    )  # fmt: skip
    (refused,) = (each for each in done if isinstance(each, EditConflict))
    (won,) = (each for each in done if isinstance(each, Image))
    assert refused.details["revision"] == 1
    (change,) = refused.details["changes"]
    assert change["value"] == won.title
    assert change["field"] == "title"
    assert (await current(database, image)).title == won.title
    assert len(await ada.history()) == 1


async def test_blank_tags_are_none(database: PostgresDatabase) -> None:
    image = await described(database)
    ada = Person(database, image)
    assert (await ada.says(tags=["", "own", " "])).tags == ("own",)
    assert (await ada.says(tags=[" "])).tags == ()


async def test_what_is_so_already_is_no_edit(database: PostgresDatabase) -> None:
    image = await described(database)
    ada = Person(database, image)
    await ada.says(title="Same")
    assert (await ada.says(title="Same")).revision == 1
    assert len(await ada.history()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"title": "x" * 256},
        {"description": "x" * 10_001},
        {"alt_text": "a\0b"},
        {"rejected_tags": ["x"] * 41},
        {"claims": [ClaimChange("Nobody ever said this.", ClaimVerdict.REJECTED)]},
        {"claims": [ClaimChange("There are three cups.", ClaimVerdict.CORRECTED)]},
        {"claims": [ClaimChange("There are three cups.", ClaimVerdict.ACCEPTED, "x")]},
        {"claims": [ClaimChange(" . ", ClaimVerdict.ADDED)]},
        {"claims": [ClaimChange("A.", ClaimVerdict.ADDED), ClaimChange("a", ClaimVerdict.ADDED)]},
        {"claims": [ClaimChange("x" * 10_001, ClaimVerdict.ADDED)]},
    ],
)
async def test_what_is_out_of_bounds_changes_nothing(
    database: PostgresDatabase, changes: dict[str, Any]
) -> None:
    image = await described(database)
    with pytest.raises(ValidationFailed):
        await Person(database, image).says(**changes)
    assert (await current(database, image)).revision == 0


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script> **bold** [x](y)",
        "👩🏽‍🚀" * 1000,
        "שלום \u202eעולם\u202c",
        "x" * 10_000,
    ],
    ids=["markup", "emoji", "right to left", "long"],
)
async def test_texts_are_kept_as_they_are(database: PostgresDatabase, text: str) -> None:
    image = await described(database)
    claim = ClaimChange(text, ClaimVerdict.ADDED)
    now = await Person(database, image).says(description=text, alt_text=text, claims=[claim])
    assert now.annotations.description == now.annotations.alt_text == text
    assert [each.claim for each in now.annotations.claims.values()] == [text]


async def waiting(database: PostgresDatabase, image: Image) -> list[tuple[uuid.UUID, Any]]:
    reviews = Reviews(database, Edits(database))
    queue = await reviews.queue(image.tenant_id, PageRequest(100))
    assert queue.total == len(queue.items)
    return [(each.image.id, each.reasons) for each in queue.items]


async def test_reviews_come_by_doubt_and_go_by_decision(database: PostgresDatabase) -> None:
    sure = await described(database)
    doubtful, failed = (replace(an_image(sure.tenant_id), tags=()) for _ in range(2))
    async with database.transaction() as tx:
        await tx.images.add(doubtful)
        await tx.images.add(failed)
    await describe_again(database, sure, **ANSWER)
    await describe_again(database, doubtful, **(ANSWER | {"confidence": 0.5}))
    analysis = an_analysis(failed)
    failure = Failure(FailureType.VLM_ERROR, "away", retryable=True)
    async with database.transaction() as tx:
        await tx.analyses.add(analysis)
        assert await tx.analyses.fail(analysis.id, failure)
        await tx.reviews.put(analysis, assess(replace(analysis, status=Status.FAILED)))
    assert await waiting(database, sure) == [
        (failed.id, (DoubtReason.FAILED,)),
        (doubtful.id, (DoubtReason.LOW_CONFIDENCE, DoubtReason.NEW_TAGS)),
        (sure.id, (DoubtReason.NEW_TAGS,)),
    ]
    reviews = Reviews(database, Edits(database))
    first = await reviews.queue(sure.tenant_id, PageRequest(1))
    second = await reviews.queue(sure.tenant_id, PageRequest(1, after=first.next))
    assert [first.items[0].image.id, second.items[0].image.id] == [failed.id, doubtful.id]

    async def decide(*decisions: Decision, status: ReviewStatus = ReviewStatus.APPROVED) -> Any:
        return await reviews.decide(sure.tenant_id, decisions, status, author="Ada")

    async with database.transaction() as tx:
        assert await tx.images.delete(sure.tenant_id, doubtful.id)
    done = await decide(
        Decision(str(doubtful.id)), Decision(str(failed.id)), Decision(str(sure.id))
    )
    assert [each.error and each.error.code for each in done] == [
        "NOT_FOUND",
        "VALIDATION_ERROR",
        None,
    ]
    assert await waiting(database, sure) == [(failed.id, (DoubtReason.FAILED,))]
    approved = await current(database, sure)
    assert effective(approved).description_source is Source.ACCEPTED
    assert effective(approved).reviewed is not None
    again = await describe_again(
        database, sure, description="A car.", tags=("cat",), confidence=0.9
    )
    assert (sure.id, (DoubtReason.DESCRIBED_AGAIN,)) in await waiting(database, sure)
    assert effective(await current(database, sure)).description == ANSWER["description"]
    (late,) = await decide(Decision(str(sure.id), analysis_id=uuid.uuid4()))
    assert isinstance(late.error, EditConflict)
    await decide(Decision(str(sure.id), approved.revision, again.id))
    assert effective(await current(database, sure)).description == "A car."


async def test_a_rejection_hides_and_undo_brings_back(database: PostgresDatabase) -> None:
    image = await described(database)
    ada = Person(database, image)
    await describe_again(database, image, **ANSWER)
    rejected = await ada.says(review=ReviewStatus.REJECTED)
    assert effective(rejected).description is None
    assert not await finds(database, image, "cat")
    assert await waiting(database, image) == []
    await ada.undoes((await ada.history())[0].id)
    assert effective(await current(database, image)).description == ANSWER["description"]
    assert await finds(database, image, "cat")
    ((waits, reasons),) = await waiting(database, image)
    assert waits == image.id
    assert DoubtReason.DESCRIBED_AGAIN not in reasons, "no machine has looked again"


async def test_the_history_is_searched_for_what_is_shown(database: PostgresDatabase) -> None:
    image = await described(database, visible_text="EXIT")
    ada = Person(database, image)

    async def found(*terms: str) -> list[bool]:
        async with database.transaction() as tx:
            queries = [HistoryQuery(terms=(term,)) for term in terms]
            pages = [
                await tx.history.page(image.tenant_id, query, PageRequest(10)) for query in queries
            ]
        return [bool(page) for page in pages]

    assert await found("cat", "exit", "four cups") == [True, True, False]
    change = ClaimChange(CUPS.claim.text, ClaimVerdict.CORRECTED, "There are four cups.")
    await ada.says(claims=(change,))
    assert await found("cat", "exit", "four cups") == [True, True, True]
    await ada.says(review=ReviewStatus.APPROVED)
    assert await found("cat", "exit", "four cups") == [True, True, True]
    await ada.says(review=ReviewStatus.REJECTED)
    assert await found("cat", "exit") == [False, False]
    await ada.undoes((await ada.history())[0].id)
    await ada.says(alt_text="A table")
    assert await found("cat", "exit", "table") == [True, True, True]
    await ada.says(description="A dog.")
    assert await found("dog", "cat", "table") == [True, False, True]
    await ada.says(description="")
    assert await found("dog", "cat") == [False, True]


async def test_the_same_decision_again_ends_the_wait(database: PostgresDatabase) -> None:
    """A description that failed afterwards had queued the picture again."""
    image = await described(database)
    ada = Person(database, image)
    for decision in (ReviewStatus.APPROVED, ReviewStatus.REJECTED):
        await ada.says(review=decision)
        async with database.transaction() as tx:
            found = await tx.images.get(image.tenant_id, str(image.id))
            assert found is not None
            assert found.described is not None
            failed = replace(found.described, id=uuid.uuid4(), created_at=datetime.now(UTC))
            await tx.reviews.put(failed, assess(failed))
        assert [id for id, _ in await waiting(database, image)] == [image.id]
        await ada.says(review=decision)
        assert await waiting(database, image) == []


async def test_an_older_description_that_ends_later_queues_nothing(
    database: PostgresDatabase,
) -> None:
    image = await described(database)
    found = await current(database, image)
    assert found.described is not None
    await Person(database, image).says(review=ReviewStatus.APPROVED)
    older = replace(
        found.described, id=uuid.uuid4(), created_at=found.described.created_at - timedelta(1)
    )
    async with database.transaction() as tx:
        await tx.reviews.put(older, assess(older))
    assert await waiting(database, image) == []


async def test_a_correction_while_it_is_described_is_not_lost(database: PostgresDatabase) -> None:
    """A person and a worker at once: both are there afterwards, in the index, too."""
    image = await described(database)
    ada = Person(database, image)
    for number in range(10):
        await asyncio.gather(
            ada.says(description=f"Words{number} of mine."),
            describe_again(database, image, description="Machine's.", tags=(f"tag{number}",)),
        )
        assert await finds(database, image, f"words{number} tag{number}")
        now = await current(database, image)
        assert now.described is not None
        assert now.described.tags == (f"tag{number}",)


async def test_edits_go_with_their_picture(database: PostgresDatabase) -> None:
    image = await described(database)
    await Person(database, image).says(title="x", review=ReviewStatus.APPROVED)
    async with database.transaction() as tx:
        await tx.images.forget(image.id)
        cursor = await tx.connection.execute(
            "SELECT (SELECT count(*) FROM edits WHERE image_id = %(id)s)"
            " + (SELECT count(*) FROM reviews WHERE image_id = %(id)s) AS left_over",
            {"id": image.id},
        )
        row = await cursor.fetchone()
    assert row == {"left_over": 0}


async def test_labels_are_of_the_tenant_and_in_pages(database: PostgresDatabase) -> None:
    image = await described(database)
    other = await described(database)
    for each in (image, other):
        await Person(database, each).says(review=ReviewStatus.APPROVED)
    reviews = Reviews(database, Edits(database))
    page = await reviews.labels(image.tenant_id, PageRequest(1))
    assert page.next is None
    (label,) = page.labels
    assert label.line == {
        "file": f"{image.id}.png",
        "tags": ["cup", "cat"],
        "claims": {"There are three cups.": True},
    }
