"""Finding files: every filter and order, against a real Postgres."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import examples
from tests.integration.test_storage import a_tenant, an_analysis, an_image

from ocelli.domain.analysis import Analysis
from ocelli.domain.edits import Changes
from ocelli.domain.errors import NotFound
from ocelli.domain.file_query import FileQuery, SortBy, sort_key
from ocelli.domain.images import Image
from ocelli.domain.paging import Key
from ocelli.domain.search import SearchMode, parse
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.library import conditions
from ocelli.usecases.edits import Edits
from ocelli.usecases.search_index import SearchIndex

TEXTS = {
    "cat": ("My cat", "A cat sits on a red sofa.", "EXIT", ("animal", "Red Sofa")),
    "car": (None, "A red sports car in a street.", "Café 東京タワー\nmilk & honey", ("vehicle",)),
    "zoo": (None, "Zebras and cathedrals.", None, ("animal", "zebra")),
    "run": ("Läufer", "People running in the park.", "finish line", ("sport", "people")),
}


async def store(database: PostgresDatabase, image: Image, **answer: Any) -> Analysis | None:
    async with database.transaction() as tx:
        await tx.images.add(image)
        if not answer:
            return None
        analysis = an_analysis(image)
        await tx.analyses.add(analysis)
        started = await tx.analyses.start(analysis.id)
        assert started is not None
        done = replace(started, **answer)
        assert await tx.analyses.complete(done)
    return done


@pytest.fixture(scope="module")
async def library(database: PostgresDatabase) -> dict[str, Image]:
    tenant = await a_tenant(database)
    images = {}
    for age, (name, (title, description, seen, tags)) in enumerate(TEXTS.items()):
        created = datetime(2026, 1, 10, tzinfo=UTC) - timedelta(days=age)
        image = replace(
            an_image(tenant),
            title=title,
            filename=f"{name}.png",
            tags=("mine",) if name == "cat" else (),
            created_at=created,
            content_created_at=datetime(2020, 1, 1, tzinfo=UTC) if name == "zoo" else None,
            size_bytes=1000 + len(name) * age,
        )
        images[name] = image
        await store(database, image, description=description, visible_text=seen, tags=tags)
    plain = replace(an_image(tenant), filename="bare.png", tags=(), size_bytes=5)
    images["bare"] = replace(plain, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    await store(database, images["bare"])
    return images


async def found(
    database: PostgresDatabase, library: dict[str, Image], query: FileQuery
) -> list[str]:
    names = {image.id: name for name, image in library.items()}
    tenant = library["cat"].tenant_id
    async with database.transaction() as tx:
        images, total = await tx.images.page(tenant, query, limit=100, offset=0)
    assert total == len(images)
    return [names[image.id] for image in images]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat", {"cat", "zoo"}),  # the last word may go on: cathedrals
        ("cat ", {"cat"}),
        ("cats ", {"cat"}),
        ("run ", {"run"}),
        ("runs ", {"run"}),
        ("red", {"cat", "car"}),
        ("red -sofa", {"car"}),
        ("-red", {"zoo", "run", "bare"}),
        ('"red sports"', {"car"}),
        ('"sports red"', set()),
        ("zebra or exit", {"zoo", "cat"}),
        ("the street", {"car"}),
        ("cafe", {"car"}),
        ("CAFÉ", {"car"}),
        ("東京", {"car"}),
        ("京東", set()),
        ("タワー", {"car"}),
        ("laufer", {"run"}),
        ("vehicle", {"car"}),
        ("mine", {"cat"}),
        ("bare", {"bare"}),
        ("car.png", {"car"}),
        ("!!!", set()),
        ("'; DROP TABLE images; --", set()),
        ("finish exit", set()),
        ("cat exit", {"cat"}),
    ],
)
async def test_search(
    database: PostgresDatabase, library: dict[str, Image], text: str, names: set[str]
) -> None:
    query = FileQuery(search=parse(text), sort_by=SortBy.RELEVANCE)
    assert set(await found(database, library, query)) == names


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        (SearchMode.ALL, ["car", "run"]),
        (SearchMode.METADATA, ["run"]),
        (SearchMode.VISIBLE_TEXT, ["car"]),
    ],
)
async def test_search_modes(
    database: PostgresDatabase, library: dict[str, Image], mode: SearchMode, names: list[str]
) -> None:
    query = FileQuery(search=parse("honey or park "), mode=mode)
    assert await found(database, library, query) == names


async def test_titles_and_tags_weigh_more(
    database: PostgresDatabase, library: dict[str, Image]
) -> None:
    query = FileQuery(search=parse("cat or zebras or street "), sort_by=SortBy.RELEVANCE)
    assert (await found(database, library, query))[0] == "cat"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (FileQuery(), ["cat", "car", "run", "bare", "zoo"]),
        (FileQuery(descending=False), ["zoo", "bare", "run", "car", "cat"]),
        (FileQuery(sort_by=SortBy.CREATED_AT), ["cat", "car", "zoo", "run", "bare"]),
        (FileQuery(sort_by=SortBy.SIZE), ["run", "zoo", "car", "cat", "bare"]),
        (
            FileQuery(sort_by=SortBy.TITLE, descending=False),
            ["bare", "car", "run", "cat", "zoo"],  # läufer and my cat by title, others by name
        ),
        (FileQuery(sort_by=SortBy.RELEVANCE), ["cat", "car", "run", "bare", "zoo"]),
        (FileQuery(tags=("ANIMAL",)), ["cat", "zoo"]),
        (FileQuery(tags=("animal", "mine")), ["cat"]),
        (FileQuery(tags=("animal", "vehicle")), []),
        (FileQuery(tags=("red sofa",)), ["cat"]),
        (FileQuery(tags=("red",)), []),
        (FileQuery(tags=("'\\",)), []),
        (FileQuery(described=False), ["bare"]),
        (FileQuery(has_text=True), ["cat", "car", "run"]),
        (FileQuery(has_text=False), ["bare", "zoo"]),
        (FileQuery(has_text=True, tags=("animal",)), ["cat"]),
        (FileQuery(has_text=False, search=parse("zebras")), ["zoo"]),
        (FileQuery(search=parse("$text")), []),
        (FileQuery(described=True, tags=("sport",)), ["run"]),
        (FileQuery(since=datetime(2026, 1, 9, tzinfo=UTC)), ["cat", "car"]),
        (FileQuery(before=datetime(2021, 1, 1, tzinfo=UTC)), ["zoo"]),
        (
            FileQuery(search=parse("red "), since=datetime(2026, 1, 10, tzinfo=UTC)),
            ["cat"],
        ),
        (FileQuery(ids=()), []),
    ],
)
async def test_filters_and_orders(
    database: PostgresDatabase, library: dict[str, Image], query: FileQuery, names: list[str]
) -> None:
    assert await found(database, library, query) == names


ORDERS = [
    FileQuery(sort_by=order, descending=descending, search=search)
    for order in (SortBy.SHOWN_AT, SortBy.CREATED_AT, SortBy.TITLE, SortBy.SIZE)
    for descending in (True, False)
    for search in (None, parse("photo "), parse('"nice photo"'))
]


@pytest.mark.parametrize("query", ORDERS, ids=str)
async def test_pages_by_key_skip_and_repeat_nothing(
    database: PostgresDatabase, query: FileQuery
) -> None:
    """While pictures that were listed are deleted, and others are added before them."""
    tenant = await a_tenant(database)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    there = [
        replace(
            an_image(tenant),
            title=f"{'żAb'[number % 3]} nice photo",  # many are equal but for their ids
            created_at=moment + timedelta(days=number % 4),
            content_created_at=moment if number % 2 else None,
            size_bytes=100 + number % 3,
        )
        for number in range(12)
    ]
    async with database.transaction() as tx:
        await tx.images.add(*there)
        everything, _ = await tx.images.page(tenant, query, limit=100, offset=0)
    listed: list[Image] = []
    key: Key | None = None
    while True:
        async with database.transaction() as tx:
            page, _ = await tx.images.page(tenant, query, limit=5, offset=0, after=key)
            if not page:
                break
            listed += page
            key = sort_key(page[-1], query.sort_by)
            await tx.images.delete(tenant, page[0].id)
            await tx.images.delete(tenant, page[-1].id)
            await tx.images.add(
                replace(
                    an_image(tenant),
                    created_at=moment + timedelta(days=99 if query.descending else -99),
                    size_bytes=999 if query.descending else 1,
                    title=f"{'zzz' if query.descending else '000'} nice photo",
                )
            )
    assert [image.id for image in listed] == [image.id for image in everything]


async def test_ids(database: PostgresDatabase, library: dict[str, Image]) -> None:
    ids = (library["zoo"].id, library["car"].id, uuid.uuid4())
    assert await found(database, library, FileQuery(ids=ids)) == ["car", "zoo"]
    query = FileQuery(ids=ids, search=parse("red "))
    assert await found(database, library, query) == ["car"]


@given(text=st.text(st.sampled_from("ab \"-or'\\:*&|!()<>東é "), max_size=30) | st.text())
@settings(examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_postgres_reads_every_search(
    database: PostgresDatabase, library: dict[str, Image], text: str
) -> None:
    for mode in SearchMode:
        await found(database, library, FileQuery(search=parse(text), mode=mode))


async def test_changes_are_found_at_once(database: PostgresDatabase) -> None:
    image = replace(an_image(await a_tenant(database)), tags=())
    await store(database, image, description="A dog.", tags=("dog",))

    async def finds(text: str) -> bool:
        async with database.transaction() as tx:
            query = FileQuery(search=parse(text + " "))
            _, total = await tx.images.page(image.tenant_id, query, limit=1, offset=0)
        return total == 1

    assert await finds("dog")
    assert not await finds("holiday")
    edits = Edits(database)
    said = Changes(title="Holiday", tags=["beach"])
    await edits.update(image.tenant_id, str(image.id), said, author="me")
    assert await finds("holiday beach dog")
    await edits.update(image.tenant_id, str(image.id), Changes(title=""), author="me")
    assert not await finds("holiday")
    assert await finds("beach")
    async with database.transaction() as tx:
        await tx.images.delete(image.tenant_id, image.id)
    assert not await finds("dog")


@pytest.fixture(scope="module")
async def in_many_scripts(database: PostgresDatabase) -> Image:
    image = replace(
        an_image(await a_tenant(database)),
        title="Łódź smørrebrød İzmir ❤️ 👩🏽‍🚀",
        filename="می\u200cخواهم 👨\u200d👩\u200d👧.png",
        tags=("Đà Nẵng", "👍🏽"),
    )
    await store(
        database,
        image,
        description="서울에서 찍은 사진. فِي القَاهِرَة. שָׁלוֹם",
        visible_text="٢٠٢٤ กรุงเทพ हिन्दी",
    )
    return image


@pytest.mark.parametrize(
    "text",
    [
        "lodz", "ŁÓDŹ ", "smorrebrod ", "SMØR", "izmir", "ızmır ", "❤", "❤️ ", "👩", "👩🏿‍🚀",
        "🚀 👍", "서울", "사진 ", "서울에서", "القاهرة", "القَاهِرَة ", "שלום", "2024", "กรุงเทพ",
        "हिन्दी ", "da nang", "#👍", "می\u200cخواهم 👨\u200d👩\u200d👧.png", "👨\u200d👩\u200d👧",
        "میخواهم", '"찍은 사진"', '"👩‍🚀"', '"2024 กรุงเทพ"', '"smørrebrød izmir"',
    ],
)  # fmt: skip
async def test_all_scripts_are_found(
    database: PostgresDatabase, in_many_scripts: Image, text: str
) -> None:
    async with database.transaction() as tx:
        query = FileQuery(search=parse(text))
        images, _ = await tx.images.page(in_many_scripts.tenant_id, query, limit=2, offset=0)
    assert [image.id for image in images] == [in_many_scripts.id]


@pytest.mark.parametrize("text", ["👎", "울서", "에서 부산", "odz", "القلب"])
async def test_other_words_are_not_found(
    database: PostgresDatabase, in_many_scripts: Image, text: str
) -> None:
    async with database.transaction() as tx:
        query = FileQuery(search=parse(text))
        _, total = await tx.images.page(in_many_scripts.tenant_id, query, limit=2, offset=0)
    assert total == 0


@pytest.mark.parametrize("tag", ["da nang", "ĐÀ NẴNG", "👍", "👍🏿"])
async def test_tags_of_all_scripts(
    database: PostgresDatabase, in_many_scripts: Image, tag: str
) -> None:
    async with database.transaction() as tx:
        query = FileQuery(tags=(tag,))
        _, total = await tx.images.page(in_many_scripts.tenant_id, query, limit=2, offset=0)
    assert total == 1


async def test_what_an_older_version_folded_is_folded_again(
    database: PostgresDatabase, dsn: str
) -> None:
    image = replace(an_image(await a_tenant(database)), title="Łódź", tags=("Đà",))
    await store(database, image)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE library SET stale = true, words = to_tsvector('simple', 'łodz')"
            " WHERE image_id = %s",
            (image.id,),
        )

    async def finds(query: FileQuery) -> bool:
        async with database.transaction() as tx:
            return (await tx.images.page(image.tenant_id, query, limit=1, offset=0))[1] == 1

    assert not await finds(FileQuery(search=parse("lodz ")))
    assert await SearchIndex(database).refold() == 1
    assert await finds(FileQuery(search=parse("lodz ")))
    assert await finds(FileQuery(tags=("da",)))
    assert await SearchIndex(database).refold() == 0


async def test_a_person_and_a_machine_at_the_same_time(database: PostgresDatabase) -> None:
    """Whoever commits last sees what the other one wrote."""
    tenant = await a_tenant(database)
    for _ in range(20):
        image = replace(an_image(tenant), tags=())
        analysis = an_analysis(image)
        async with database.transaction() as tx:
            await tx.images.add(image)
            await tx.analyses.add(analysis)
            started = await tx.analyses.start(analysis.id)
        assert started is not None
        done = replace(started, description="Sunrise.")

        async def person(image: Image = image) -> None:
            await asyncio.sleep(random.random() / 100)
            said = Changes(title="Vacation")
            await Edits(database).update(tenant, str(image.id), said, author="me")

        async def machine(done: Analysis = done) -> None:
            async with database.transaction() as tx:
                await tx.analyses.complete(done)
                await asyncio.sleep(random.random() / 100)

        await asyncio.gather(person(), machine())
        async with database.transaction() as tx:
            query = FileQuery(search=parse("vacation sunrise "), ids=(image.id,))
            _, total = await tx.images.page(tenant, query, limit=1, offset=0)
            assert total == 1
            found = await tx.images.get(tenant, str(image.id))
        assert found is not None
        assert found.title == "Vacation"


async def test_other_tenants_are_not_found(
    database: PostgresDatabase, library: dict[str, Image]
) -> None:
    stranger = await a_tenant(database)
    ids = tuple(image.id for image in library.values())
    async with database.transaction() as tx:
        for query in (
            FileQuery(),
            FileQuery(ids=ids),
            FileQuery(search=parse("red")),
            FileQuery(search=parse("-nothing")),
            FileQuery(search=parse(f"red or @{library['cat'].tenant_id}")),
            FileQuery(tags=("animal",)),
        ):
            assert await tx.images.page(stranger, query, limit=10, offset=0) == ([], 0)
    with pytest.raises(NotFound):
        await Edits(database).update(stranger, str(ids[0]), Changes(title="x"), author="me")
    assert "cat" in await found(database, library, FileQuery(search=parse("my ")))


async def test_pages_hang_together(database: PostgresDatabase) -> None:
    tenant = await a_tenant(database)
    async with database.transaction() as tx:
        for number in range(25):
            await tx.images.add(
                replace(an_image(tenant), title="page" if number % 3 else "page page page")
            )
    for sort_by in SortBy:
        query = FileQuery(search=parse("page "), sort_by=sort_by)
        seen: list[uuid.UUID] = []
        async with database.transaction() as tx:
            for offset in range(0, 30, 10):
                images, total = await tx.images.page(tenant, query, limit=10, offset=offset)
                assert total == 25
                seen += [image.id for image in images]
        assert len(set(seen)) == 25


@pytest.mark.parametrize(
    "query",
    [FileQuery(search=parse("photo")), FileQuery(tags=("red",)), FileQuery(search=parse("-photo"))],
)
async def test_searches_read_no_vectors(database: PostgresDatabase, query: FileQuery) -> None:
    """Only the index of words answers; that of tenants would read each vector of the tenant."""
    where, values = conditions(uuid.uuid4(), query)
    async with database.transaction() as tx:
        await tx.connection.execute("SELECT set_config('enable_seqscan', 'off', true)")
        cursor = await tx.connection.execute(
            f"EXPLAIN SELECT count(*) FROM library WHERE {where}".encode(), values
        )
        plan = "\n".join(str(*row.values()) for row in await cursor.fetchall())
    assert "library_words" in plan
    assert "library_by_tenant" not in plan


async def test_the_confidence_is_that_of_the_newest_description(
    database: PostgresDatabase,
) -> None:
    image = an_image(await a_tenant(database))
    await store(database, image, confidence=0.4)
    unsure, sure = FileQuery(max_confidence=0.5), FileQuery(min_confidence=0.8)
    async with database.transaction() as tx:
        assert (await tx.images.page(image.tenant_id, unsure, limit=2, offset=0))[1] == 1
        again = replace(an_analysis(image), created_at=datetime.now(UTC) + timedelta(seconds=1))
        await tx.analyses.add(again)
        started = await tx.analyses.start(again.id)
        assert started is not None
        assert await tx.analyses.complete(replace(started, confidence=0.9))
        assert (await tx.images.page(image.tenant_id, sure, limit=2, offset=0))[1] == 1
        assert (await tx.images.page(image.tenant_id, unsure, limit=2, offset=0))[1] == 0
