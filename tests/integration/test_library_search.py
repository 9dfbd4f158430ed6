"""Searches by words and by meaning, with the real embedder and a real Postgres."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from tests.conftest import Server
from tests.integration.test_library import store
from tests.integration.test_storage import a_tenant, an_image
from tests.waiting import until
from typer.testing import CliRunner

from aion import SyncAionVision, ValidationError
from ocelli.backends.local.embedder import MiniLmEmbedder
from ocelli.backends.local.runtime import Runtime
from ocelli.cli.demo import sample_photos
from ocelli.cli.main import app
from ocelli.domain.edits import Changes
from ocelli.domain.embeddings import Embedding
from ocelli.domain.errors import Unavailable
from ocelli.domain.file_query import FileQuery, SortBy
from ocelli.domain.paging import PageRequest
from ocelli.domain.ranking import fuse
from ocelli.domain.search import parse
from ocelli.storage.postgres import library as postgres_library
from ocelli.storage.postgres import text_vectors
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases import library_search
from ocelli.usecases.edits import Edits
from ocelli.usecases.embeddings import Embeddings
from ocelli.usecases.files import Files, Page
from ocelli.usecases.library_search import LibrarySearch
from ocelli.usecases.text_index import TextIndex

EMBEDDER = MiniLmEmbedder(Runtime())
DESCRIPTIONS = {
    "dog": "A small dog runs along a beach.",
    "car": "A red sports car in a street at night.",
    "soup": "A bowl of soup and a spoon on a table.",
    "page": "A page of text.",
}


class Library:
    """A tenant with a described picture for each of ``DESCRIPTIONS``."""

    def __init__(self, database: PostgresDatabase, tenant: uuid.UUID) -> None:
        self.database, self.tenant = database, tenant
        self.index = TextIndex(database, EMBEDDER)
        self.ids: dict[str, uuid.UUID] = {}
        self.searching = LibrarySearch(database, Embeddings(EMBEDDER))

    async def add(self, name: str, description: str, **more: object) -> None:
        image = replace(an_image(self.tenant), filename=f"{uuid.uuid4().hex}.png", tags=())
        await store(self.database, image, description=description, **more)
        self.ids[name] = image.id

    async def find(self, text: str, filters: FileQuery | None = None) -> list[str]:
        found = await self.searching.search(self.tenant, text, filters or FileQuery(), limit=10)
        names = {id: name for name, id in self.ids.items()}
        return [names[hit.image.id] for hit in found.hits]

    async def embed_all(self) -> None:
        for id in self.ids.values():
            await self.index.embed(id)

    async def vectors(self) -> int:
        async with self.database.connection() as connection:
            cursor = await connection.execute(
                "SELECT count(*) AS n FROM text_vectors WHERE tenant_id = %s", (self.tenant,)
            )
            row = await cursor.fetchone()
        assert row is not None
        return int(row["n"])


@pytest.fixture
async def library(database: PostgresDatabase) -> AsyncIterator[Library]:
    made = Library(database, await a_tenant(database))
    for name, description in DESCRIPTIONS.items():
        await made.add(name, description)
    await made.embed_all()
    yield made


async def test_other_words_for_the_same_find_it(library: Library) -> None:
    for text, name in (
        ("a puppy by the sea", "dog"),
        ("automobile after dark", "car"),
        ("something to eat", "soup"),
    ):
        assert (await library.find(text))[0] == name, text
    assert await library.find("quarterly tax legislation of the senate") == []


async def test_words_are_found_too_and_first(library: Library) -> None:
    await library.add("sign", "A sign.", visible_text="SOUP KITCHEN 4711")
    assert await library.find("4711") == ["sign"], "it has no vector yet"
    await library.embed_all()
    assert (await library.find("soup kitchen"))[0] == "sign"


async def test_odd_searches_are_answered(library: Library) -> None:
    for text in ("the and of", "дом у моря", "-", "\0", "x" * 2_000, '"', "a" + " or" * 600):
        assert isinstance(await library.find(text), list)


async def test_filters_hold(library: Library) -> None:
    only = FileQuery(ids=(library.ids["car"],))
    assert await library.find("a puppy by the sea, or a car", only) in (["car"], [])
    assert await library.find("automobile", only) == ["car"]
    assert await library.find("automobile", FileQuery(ids=())) == []
    assert (
        await library.find("automobile", FileQuery(before=datetime(1990, 1, 1, tzinfo=UTC))) == []
    )
    await library.add("tagged", "A van.", tags=("vehicle",))
    await library.embed_all()
    assert await library.find("a delivery truck", FileQuery(tags=("vehicle",))) == ["tagged"]


async def test_pages_have_every_picture_once(library: Library) -> None:
    whole = await library.searching.search(library.tenant, "a dog in a car", limit=10)
    pages = [
        await library.searching.search(library.tenant, "a dog in a car", limit=1, offset=n)
        for n in range(len(whole.ids) + 1)
    ]
    assert [hit.image.id for page in pages for hit in page.hits] == list(whole.ids)


@pytest.mark.parametrize("ranked", [4, 1_000])
async def test_a_list_by_relevance_has_every_picture_once(
    library: Library, monkeypatch: pytest.MonkeyPatch, ranked: int
) -> None:
    monkeypatch.setattr(library_search, "MOST_RANKED", ranked)
    monkeypatch.setattr(postgres_library, "RANKED", ranked)
    for name in ("beach", "sofa", "street", "car", "snow", "roof", "boat"):
        await library.add(name, f"A dog and a {name}. A dog barks.")
    await library.embed_all()
    query = replace(FileQuery(), search=parse("dog -car"), sort_by=SortBy.RELEVANCE)

    async def page(limit: int, offset: int = 0) -> Page:
        request = PageRequest(limit, offset)
        return await library.searching.page(library.tenant, query, "dog -car", request)

    whole = await page(100)
    assert (len(whole.images), whole.total, whole.has_more) == (7, 7, False)
    pages = [await page(2, offset) for offset in range(0, 8, 2)]
    listed = [image.id for each in pages for image in each.images]
    assert listed == [image.id for image in whole.images]
    assert len(set(listed)) == 7
    assert [each.has_more for each in pages] == [True, True, True, False]
    async with library.database.transaction() as tx:
        by_words, _ = await tx.images.matches(library.tenant, query, limit=ranked)
        near = await tx.text_vectors.nearest(
            FileQuery(ids=tuple(by_words)),
            library.tenant,
            EMBEDDER.embed("dog").vector,
            model=EMBEDDER.model_version,
            limit=ranked,
        )
    assert listed[: len(by_words)] == [id for id, _ in fuse(by_words, [id for id, _ in near])]
    words = LibrarySearch(library.database, Embeddings(Broken()))
    without = await words.page(library.tenant, query, "dog", PageRequest(100))
    assert [image.id for image in without.images][:ranked] == by_words


async def test_a_stranger_finds_nothing(library: Library) -> None:
    stranger = await a_tenant(library.database)
    search = library.searching.search
    assert (await search(stranger, DESCRIPTIONS["dog"], limit=10)).ids == []
    named = FileQuery(ids=tuple(library.ids.values()))
    assert (await search(stranger, DESCRIPTIONS["dog"], named, limit=10)).ids == []


async def test_a_persons_words_change_what_is_found(library: Library) -> None:
    edits = Edits(library.database)
    id = str(library.ids["page"])
    change = Changes(description="A kitten asleep in a basket.")
    await edits.update(library.tenant, id, change, author="ada")
    assert (await library.find("a sleeping cat")) == []
    assert await library.index.catch_up() >= 1
    assert (await library.find("a sleeping cat"))[0] == "page"
    assert await library.index.waiting() == 0


async def test_deleting_a_picture_deletes_its_vector(library: Library) -> None:
    assert await library.vectors() == len(DESCRIPTIONS)
    await Files(library.database, None).delete(library.tenant, str(library.ids["dog"]))  # type: ignore[arg-type]
    assert await library.vectors() == len(DESCRIPTIONS) - 1
    assert "dog" not in await library.find("a puppy by the sea")


class OtherModel:
    """Another version of the embedder."""

    name, dimensions, max_tokens = EMBEDDER.name, EMBEDDER.dimensions, EMBEDDER.max_tokens
    model_version = "another-1"

    def embed(self, text: str) -> Embedding:
        return EMBEDDER.embed(text)


async def embed_waiting(index: TextIndex) -> int:
    """Embed all pictures that wait, those of other tests too; return how many."""
    count = await index.catch_up()
    while await index.waiting():
        count += await index.catch_up()
    return count


async def test_vectors_of_another_model_are_made_again(library: Library) -> None:
    renewed = LibrarySearch(library.database, Embeddings(OtherModel()))
    assert (await renewed.search(library.tenant, "a puppy", limit=10)).ids == []
    assert await embed_waiting(TextIndex(library.database, OtherModel())) >= len(DESCRIPTIONS)
    assert library.ids["dog"] in (await renewed.search(library.tenant, "a puppy", limit=9)).ids
    # The vectors of other tests' pictures are the first model's again.
    assert await embed_waiting(TextIndex(library.database, EMBEDDER)) >= len(DESCRIPTIONS)


async def test_words_that_change_while_they_are_read_are_read_again(library: Library) -> None:
    database, id = library.database, library.ids["page"]
    async with database.transaction() as tx:
        await tx.images.refold(id)
        before = await tx.text_vectors.queued(id)
    assert before is not None
    async with database.transaction() as tx:
        await tx.images.refold(id)
        assert not await tx.text_vectors.settle(before)
        assert await tx.text_vectors.queued(id) is not None
    await library.index.embed(id)


class Broken(OtherModel):
    """An embedder without its model."""

    def embed(self, text: str) -> Embedding:
        raise Unavailable("The embedder cannot be used: no model.")


async def test_without_an_embedder_words_are_searched(library: Library) -> None:
    searching = LibrarySearch(library.database, Embeddings(Broken()))
    found = await searching.search(library.tenant, "dog", limit=10)
    assert list(found.ids) == [library.ids["dog"]]
    assert "no model" in (found.words_only or "")
    await library.add("new", "A llama.")
    await TextIndex(library.database, Broken()).embed(library.ids["new"])
    await library.index.embed(library.ids["new"])
    assert "new" in await library.find("alpaca")


def test_without_the_extension_it_is_said_and_tried_again(dsn: str) -> None:
    """A role that may not create extensions, as with many hosted databases."""
    with psycopg.connect(dsn) as connection:
        assert text_vectors.prepare(connection) is None
        connection.execute("ALTER TABLE text_vectors DROP COLUMN vector")
        connection.execute("DROP EXTENSION vector CASCADE")
        role = f"r{uuid.uuid4().hex}"
        connection.execute(f"CREATE ROLE {role}".encode())
        connection.execute(f"ALTER TABLE text_vectors OWNER TO {role}".encode())
        connection.execute(f"SET LOCAL ROLE {role}".encode())
        reason = text_vectors.prepare(connection)
        assert reason is not None
        assert "permission denied" in reason
        connection.execute("RESET ROLE")
        assert text_vectors.prepare(connection) is None
        connection.rollback()


async def test_a_large_tenant_is_searched_with_the_index(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clustered vectors: the index finds nearly what comparing all of them finds."""
    tenant, pictures = await a_tenant(database), 400
    noise = random.Random(24)
    centres = [[noise.gauss(0, 1) for _ in range(text_vectors.DIMENSIONS)] for _ in range(20)]

    def vector(number: int) -> list[float]:
        values = [each + noise.gauss(0, 0.5) for each in centres[number % len(centres)]]
        length = sum(value * value for value in values) ** 0.5
        return [value / length for value in values]

    for number in range(pictures):
        image = an_image(tenant)
        async with database.transaction() as tx:
            await tx.images.add(image)
            await tx.text_vectors.put(image.id, tenant, vector(number), model="m", text_hash=b"")

    async def nearest(target: list[float]) -> list[uuid.UUID]:
        async with database.transaction() as tx:
            found = await tx.text_vectors.nearest(FileQuery(), tenant, target, model="m", limit=10)
        return [id for id, _ in found]

    targets = [vector(number) for number in range(10)]
    exact = [await nearest(target) for target in targets]
    monkeypatch.setattr(text_vectors, "MOST_COMPARED", 10)
    by_index = [await nearest(target) for target in targets]
    assert all(len(found) == 10 for found in by_index), "others' pictures take no place"
    agreed = sum(len(set(a) & set(b)) for a, b in zip(exact, by_index, strict=True))
    assert agreed >= 95


def test_a_described_picture_is_found_by_meaning(server: Server) -> None:
    """Over HTTP: a real photo, described by a worker."""
    (coffee,) = (path for path in sample_photos() if path.stem == "coffee")
    key = server.new_key(f"meaning-{uuid.uuid4()}")
    with SyncAionVision(key, base_url=server.url) as client:
        sent = client.upload_one(coffee, verification_level="quick")

        def found() -> bool:
            return client.agent_search.images("a hot drink").result_ids == [sent.image_id]

        until(found)
        result = client.agent_search.images("a hot drink", limit=1)
        (item,) = result.results
        assert (item.image_id, result.count) == (sent.image_id, 1)
        assert result.search_strategy == {"mode": "hybrid", "reason": None}
        assert result.result_refs["search_1"].ids == [sent.image_id]
        assert result.summary == "1 picture found."
        assert client.agent_search.images("espresso", folder_id=str(uuid.uuid4())).count == 0
        with pytest.raises(ValidationError):
            client.agent_search.images("")
    with SyncAionVision(server.new_key(f"other-{uuid.uuid4()}"), base_url=server.url) as other:
        assert other.agent_search.images("espresso", image_ids=[sent.image_id]).count == 0
    where = ["--server", server.url, "--key", key, "--jsonl"]
    done = CliRunner().invoke(app, ["search", "something", "to", "drink", *where])
    assert sent.image_id in done.stdout


def test_embed_a_library_that_was_there_before(server: Server) -> None:
    """While the server runs; a worker may be faster."""
    done = CliRunner().invoke(app, ["embed", "--all", "--data", str(server.data)])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip().endswith("pictures embedded")
