"""Pictures compared by how they look: with a server of embeddings, and with a model in a folder."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image as PillowImage
from tests import fake_embeddings, onnx_model
from tests.conftest import Server, reachable, start_server
from tests.fake_embeddings import FakeEmbeddings
from tests.integration.test_library import store
from tests.integration.test_storage import a_tenant, an_image
from tests.waiting import until
from typer.testing import CliRunner

from aion import ResourceNotFoundError, SyncAionVision, ValidationError
from ocelli.backends.local.clip import ClipEmbedder, Preprocessing
from ocelli.backends.local.embedder import MiniLmEmbedder
from ocelli.backends.local.runtime import Runtime
from ocelli.backends.picture_embeddings import EmbeddingRequest, PictureEmbeddingServer
from ocelli.cli.demo import sample_photos
from ocelli.cli.main import app
from ocelli.domain.embeddings import PictureEmbedder
from ocelli.domain.errors import AnalysisFailed, NotFound, Unavailable
from ocelli.media.decode import decode
from ocelli.settings import Settings
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.embeddings import Embeddings
from ocelli.usecases.files import Files
from ocelli.usecases.library_search import LibrarySearch
from ocelli.usecases.picture_index import PictureIndex
from ocelli.usecases.similar_pictures import Likeness, Similar, SimilarPictures
from ocelli.usecases.text_index import TextIndex
from ocelli.wiring.decoders import decoder_pool

TEXTS = MiniLmEmbedder(Runtime())
COLOURS = {
    "red": (250, 20, 20),
    "dark red": (200, 30, 30),
    "green": (20, 250, 20),
    "blue": (20, 20, 250),
}


def png(colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> bytes:
    target = io.BytesIO()
    PillowImage.new("RGB", size, colour).save(target, "PNG")
    return target.getvalue()


@pytest.fixture
def fake() -> Iterator[FakeEmbeddings]:
    with fake_embeddings.serving() as server:
        yield server


def over_http(
    fake: FakeEmbeddings, request: str = "vllm", key: str | None = None, model: str = "clip"
) -> PictureEmbeddingServer:
    return PictureEmbeddingServer(
        fake.url, model, EmbeddingRequest(request), key=key, timeout=30, least_cosine=0.2
    )


def picture(colour: tuple[int, int, int]) -> Any:
    return decode(png(colour), max_pixels=10**6)


def cosine(one: Any, other: Any) -> float:
    return float(sum(a * b for a, b in zip(one, other, strict=True)))


@pytest.mark.parametrize("request_kind", [*EmbeddingRequest])
async def test_each_shape_of_request(fake: FakeEmbeddings, request_kind: str) -> None:
    embedder = over_http(fake, request_kind, key="secret-key")
    red = await embedder.embed_picture(picture(COLOURS["red"]))
    word, other = await embedder.embed_text("red"), await embedder.embed_text("blue")
    await embedder.close()
    assert cosine(red, red) == pytest.approx(1)
    assert cosine(red, word) > 0.9 > 0 > cosine(red, other)
    assert {asked["model"] for asked in fake.asked} == {"clip"}
    assert fake.authorization == ["Bearer secret-key"] * 3


async def test_what_a_server_answers_instead(fake: FakeEmbeddings) -> None:
    embedder = over_http(fake)
    for status, of_picture in (
        (400, AnalysisFailed), (422, AnalysisFailed), (401, Unavailable), (404, Unavailable),
        (429, Unavailable), (503, Unavailable), (302, Unavailable),
    ):  # fmt: skip
        fake.status = status
        with pytest.raises(of_picture):
            await embedder.embed_picture(picture(COLOURS["red"]))
        with pytest.raises(Unavailable):
            await embedder.embed_text("red")
    fake.status = 200
    for body in (b"", b"[]", b'{"data": []}', b'{"data": [{"embedding": [0, 0]}]}', b'{"data": 1}'):
        fake.body = body
        with pytest.raises(Unavailable):
            await embedder.embed_picture(picture(COLOURS["red"]))
    await embedder.close()


async def test_a_server_that_is_not_there() -> None:
    gone = over_http(FakeEmbeddings(url="http://127.0.0.1:9/v1"))
    with pytest.raises(Unavailable):
        await gone.embed_text("red")
    await gone.close()


async def test_a_model_in_a_folder(tmp_path: Path) -> None:
    folder = onnx_model.write(tmp_path / "clip")
    embedder = ClipEmbedder(folder, Runtime(tmp_path), least_cosine=0.2)
    for name, colour in COLOURS.items():
        shown = await embedder.embed_picture(picture(colour))
        cosines = {
            word: cosine(shown, await embedder.embed_text(word))
            for word in ("red", "green", "blue")
        }
        assert max(cosines, key=lambda each: cosines[each]) == name.split()[-1]
    long = await embedder.embed_text("green " * 500)
    assert cosine(long, await embedder.embed_text("green")) > 0.99
    turned = ClipEmbedder(
        onnx_model.write(tmp_path / "two", turned=True), Runtime(tmp_path), least_cosine=0.2
    )
    assert turned.model_version != embedder.model_version


async def test_a_folder_that_is_incomplete(tmp_path: Path) -> None:
    folder = onnx_model.write(tmp_path / "clip")
    (folder / "onnx" / "text_model.onnx").write_bytes(b"no model")
    embedder = ClipEmbedder(folder, Runtime(tmp_path), least_cosine=0.2)
    with pytest.raises(Unavailable, match="text_model"):
        await embedder.embed_text("red")
    (folder / "preprocessor_config.json").write_text("[]")
    with pytest.raises(Unavailable, match="preprocessor_config"):
        await embedder.embed_picture(picture(COLOURS["red"]))
    (folder / "onnx" / "text_model.onnx").unlink()
    with pytest.raises(Unavailable, match=r"text_model\.onnx"):
        await embedder.embed_text("red")


@pytest.mark.parametrize("crop", [True, False])
def test_the_middle_is_cut_or_all_is_squeezed(crop: bool) -> None:
    import numpy as np

    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 255
    made = Preprocessing(10, 10, crop, (0.0,) * 3, (1.0,) * 3).tensor(pixels)
    assert made.shape == (1, 3, 10, 10)
    assert made.mean() == pytest.approx(1 if crop else 1 / 3, abs=0.05)


class Stores:
    """Objects in memory, in the place of a store."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def store_of(self, _: object) -> Any:
        return SimpleNamespace(read=self.read)

    async def read(self, key: str) -> bytes:
        if key not in self.objects:
            raise NotFound("Object", key)
        return self.objects[key]


class Library:
    """A tenant with pictures of one colour each, described alike."""

    def __init__(self, database: PostgresDatabase, tenant: uuid.UUID, embedder: PictureEmbedder):
        self.database, self.tenant = database, tenant
        self.stores = Stores()
        self.decoders = decoder_pool(Settings())
        self.ids: dict[str, uuid.UUID] = {}
        self.use(embedder)

    def use(self, embedder: PictureEmbedder | None) -> None:
        embeddings = Embeddings(TEXTS)
        if embedder is not None:
            stores: Any = self.stores
            self.index = PictureIndex(self.database, stores, self.decoders, embedder)
        self.searching = LibrarySearch(self.database, embeddings, embedder)
        self.similar = SimilarPictures(self.database, embeddings, self.decoders, embedder)

    async def add(self, name: str, data: bytes, description: str = "A wall.") -> uuid.UUID:
        image = replace(an_image(self.tenant), filename=f"{uuid.uuid4().hex}.png", tags=())
        self.stores.objects[image.object_key] = data
        await store(self.database, image, description=description)
        self.ids[name] = image.id
        return image.id

    async def find(self, text: str) -> list[str]:
        found = await self.searching.search(self.tenant, text, limit=10)
        return self.names([hit.image.id for hit in found.hits])

    async def like(self, name: str) -> Similar:
        return await self.similar.to_stored(self.tenant, str(self.ids[name]), limit=10)

    def names(self, ids: list[uuid.UUID]) -> list[str]:
        names = {id: name for name, id in self.ids.items()}
        return [names[id] for id in ids]

    def named(self, found: Similar) -> list[str]:
        return self.names([each.image.id for each in found.pictures])

    async def models(self) -> dict[str, str]:
        async with self.database.connection() as connection:
            cursor = await connection.execute(
                "SELECT image_id, model, vector IS NULL AS none FROM picture_vectors"
                " WHERE tenant_id = %s",
                (self.tenant,),
            )
            rows = await cursor.fetchall()
        return {
            name: "none" if row["none"] else row["model"]
            for row in rows
            for name in self.names([row["image_id"]])
        }


@pytest.fixture
async def library(database: PostgresDatabase, fake: FakeEmbeddings) -> AsyncIterator[Library]:
    embedder = over_http(fake, model=uuid.uuid4().hex)
    made = Library(database, await a_tenant(database), embedder)
    for name, colour in COLOURS.items():
        await made.index.embed(await made.add(name, png(colour)))
    yield made
    await embedder.close()
    made.decoders.close()


async def test_pictures_are_found_by_their_looks(library: Library) -> None:
    assert set(await library.find("something red")) == {"red", "dark red"}
    assert await library.find("blue") == ["blue"]
    await library.add("said", png(COLOURS["green"]), "A red door.")
    assert set(await library.find("red")) == {"red", "dark red", "said"}, "beside words"


async def test_similar_pictures_by_their_looks(library: Library) -> None:
    found = await library.like("red")
    assert found.by is Likeness.LOOKS
    assert library.named(found)[0] == "dark red"
    assert "red" not in library.named(found)
    assert found.pictures[0].cosine > 0.9
    other = await library.similar.to_picture(library.tenant, png((10, 240, 30)), limit=1)
    assert library.named(other) == ["green"]
    with pytest.raises(NotFound):
        await library.similar.to_stored(
            await a_tenant(library.database), str(library.ids["red"]), limit=1
        )


async def test_without_a_model_descriptions_are_compared(library: Library) -> None:
    library.use(None)
    index = TextIndex(library.database, TEXTS)
    await library.add("cat", png((1, 2, 3)), "A cat sleeps on a sofa.")
    await library.add("kitten", png((3, 2, 1)), "A kitten naps on a couch.")
    assert await library.like("cat") == Similar((), None), "it has no vector yet"
    for id in library.ids.values():
        await index.embed(id)
    found = await library.like("cat")
    assert (found.by, library.named(found)[0]) == (Likeness.DESCRIPTION, "kitten")
    texts = await library.similar.to_texts(library.tenant, ["a small cat"], limit=2)
    assert set(library.named(texts)) == {"cat", "kitten"}


async def test_deleting_a_picture_deletes_its_vectors(library: Library) -> None:
    assert set(await library.models()) == set(COLOURS)
    await Files(library.database, None).delete(library.tenant, str(library.ids["red"]))  # type: ignore[arg-type]
    assert set(await library.models()) == set(COLOURS) - {"red"}
    assert await library.find("red") == ["dark red"]


async def test_another_model_is_never_mixed_with_the_first(
    library: Library, fake: FakeEmbeddings
) -> None:
    (before,) = set((await library.models()).values())
    fake.padding = 5  # the same name, but longer vectors
    other = over_http(fake, model=uuid.uuid4().hex)
    library.use(other)
    assert await library.find("red") == [], "vectors of the first model are not compared"
    assert (await library.like("red")).by is None
    await library.index.embed(library.ids["red"])
    assert await library.find("red") == ["red"]

    async def all_done() -> bool:
        await library.index.catch_up()
        return before not in (await library.models()).values()

    for _ in range(100):  # pictures of other tests wait too
        if await all_done():
            break
    assert len(set((await library.models()).values())) == 1
    assert set(await library.find("red")) == {"red", "dark red"}
    await other.close()


async def test_a_server_that_is_away_is_asked_again(library: Library, fake: FakeEmbeddings) -> None:
    fake.status = 503
    late = await library.add("late", png(COLOURS["blue"]))
    await library.index.embed(late)
    assert "late" not in await library.models()
    assert await library.find("blue") == [], "words are searched alone"
    fake.status = 200
    await library.index.embed(late)
    assert set(await library.find("blue")) == {"blue", "late"}


async def test_what_cannot_be_embedded_is_not_tried_again(
    library: Library, fake: FakeEmbeddings
) -> None:
    broken = await library.add("broken", b"no picture")
    lost = await library.add("lost", png(COLOURS["red"]))
    library.stores.objects.clear()
    asked = len(fake.asked)
    for id in (broken, lost, broken):
        await library.index.embed(id)
    models = await library.models()
    assert (models["broken"], models["lost"]) == ("none", "none")
    assert len(fake.asked) == asked
    assert (await library.like("broken")).by is None
    assert "broken" not in await library.find("red")


async def test_many_pictures_are_compared_with_the_index(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ocelli.storage.postgres import text_vectors

    exact = library.named(await library.like("red"))
    monkeypatch.setattr(text_vectors, "MOST_COMPARED", 1)
    assert library.named(await library.like("red")) == exact
    async with library.database.connection() as connection:
        cursor = await connection.execute(
            "SELECT count(*) AS n FROM pg_indexes WHERE tablename = 'picture_vectors'"
            " AND indexname LIKE 'picture_vectors_nearest_%'"
        )
        row = await cursor.fetchone()
    assert row is not None
    assert row["n"] == 1, "one for the model, none for those of before"


def test_similar_pictures_over_http(server: Server, tmp_path: Path) -> None:
    """Of the shared server, which compares descriptions."""
    photos = {path.stem: path for path in sample_photos()}
    key = server.new_key(f"similar-{uuid.uuid4()}")
    with SyncAionVision(key, base_url=server.url) as client:
        cup = client.upload_one(photos["coffee"], verification_level="quick").image_id
        cat = client.upload_one(photos["chelsea"], verification_level="quick").image_id
        until(lambda: client.files.similar(cup).compared_by == "description")
        until(lambda: [it.id for it in client.files.similar(cup).files] == [cat])
        assert client.files.similar(cat[:8]).files[0].id == cup
        alike = client.files.similar_to(photos["coffee"], limit=1)
        assert (alike.compared_by, alike.files[0].id) == ("description", cup)
        assert alike.files[0].similarity > 0.99
        with pytest.raises(ValidationError):
            client.files.similar_to(b"no picture")
        with pytest.raises(ResourceNotFoundError):
            client.files.similar(str(uuid.uuid4()))
    with SyncAionVision(server.new_key(f"other-{uuid.uuid4()}"), base_url=server.url) as other:
        with pytest.raises(ResourceNotFoundError):
            other.files.similar(cup)
        assert other.files.similar_to(photos["coffee"]).files == []
    where = ["--server", server.url, "--key", key]
    shown = CliRunner().invoke(app, ["search", "--like", cup, *where])
    assert "compared by description" in shown.stdout
    listed = CliRunner().invoke(
        app, ["search", "--like", str(photos["chelsea"]), *where, "--jsonl"]
    )
    assert cat in listed.stdout.splitlines()[0]
    wrong = CliRunner().invoke(app, ["search", "cats", "--like", cup, *where])
    assert wrong.exit_code == 2


def test_a_server_with_a_model_in_a_folder(tmp_path: Path) -> None:
    """From the setting to worker and API; pictures that were there before are embedded too."""
    data = reachable(tmp_path) / "data"
    folder = onnx_model.write(tmp_path / "clip")
    files = {name: tmp_path / f"{name}.png" for name in ("red", "blue")}
    for name, path in files.items():
        path.write_bytes(png(COLOURS[name], (64, 64)))
    running = start_server(
        data, OCELLI_PICTURE_EMBEDDER=f'{{"folder": "{folder}"}}', OCELLI_WORKERS="1"
    )
    try:
        with SyncAionVision(running.key, base_url=running.url) as client:
            sent = {name: client.upload_one(path).image_id for name, path in files.items()}
            until(lambda: client.files.similar(sent["red"]).compared_by == "looks")
            until(lambda: client.files.similar(sent["red"]).files != [])
            found = client.files.similar_to(files["blue"], limit=1)
            assert (found.compared_by, found.files[0].id) == ("looks", sent["blue"])
            with pytest.raises(ValidationError):
                client.files.similar_to(b"no picture")
        done = CliRunner().invoke(
            app, ["embed", "--all", "--data", str(data)],
            env={"OCELLI_PICTURE_EMBEDDER": f'{{"folder": "{folder}"}}'},
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert "2 pictures embedded by their looks" in done.stdout
    finally:
        running.stop()
        assert running.process.stdout is not None
        running.process.stdout.close()
