"""Vocabularies over HTTP: import, look, choose, delete, with the SDK and the command."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.conftest import Server
from tests.integration.test_files import add
from tests.integration.test_storage import a_tenant
from typer.testing import CliRunner

from aion import AionvisionError, ResourceNotFoundError, SyncAionVision, ValidationError
from ocelli.cli.main import app
from ocelli.domain.choosing import Match, Mode
from ocelli.domain.embeddings import Embedding
from ocelli.domain.errors import Unavailable
from ocelli.domain.vocabulary_files import VocabularyFormat
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.embeddings import Embeddings
from ocelli.usecases.vocabularies import Vocabularies

ANIMALS = "animal/dog/terrier = Terrier@de; rat catcher\nanimal/cat\nanimal/bird\nplace/beach\n"


@pytest.fixture
def ada(server: Server) -> Iterator[SyncAionVision]:
    """A person with a tenant of her own."""
    with SyncAionVision(
        server.new_key(f"vocabularies-{uuid.uuid4()}"), base_url=server.url
    ) as client:
        yield client


def test_import_look_and_delete(ada: SyncAionVision) -> None:
    made = ada.vocabularies.import_text("Animals", ANIMALS + "ANIMAL/Cat\n")
    assert (made.term_count, made.duplicates) == (7, 1)
    assert [each.name for each in ada.vocabularies.list()] == ["Animals"]
    assert ada.vocabularies.get("ANIMALS").id == ada.vocabularies.get(made.id).id == made.id
    terms = list(ada.vocabularies.terms("animals", page_size=2))
    assert [each.path for each in terms] == [
        *("animal", "animal/dog", "animal/dog/terrier", "animal/cat", "animal/bird"),
        *("place", "place/beach"),
    ]
    assert [(each.text, each.language) for each in terms[2].synonyms] == [("rat catcher", None)]
    again = ada.vocabularies.import_text("animals", "狐\nשועל\n")
    assert (again.id, again.digest == made.digest, again.term_count) == (made.id, False, 2)
    assert [each.path for each in ada.vocabularies.terms(made.id)] == ["狐", "שועל"]
    ada.vocabularies.delete("animals")
    with pytest.raises(ResourceNotFoundError):
        ada.vocabularies.get(made.id)


def test_choose(ada: SyncAionVision) -> None:
    ada.vocabularies.import_text("animals", ANIMALS + "bicycle\n")
    choice = ada.vocabularies.choose("animals", ["bike", "rat catchers", "two birds", "car"])
    assert [(each.tag, each.match) for each in choice.tags] == [
        ("animal/dog/terrier", "synonym"),
        ("animal/bird", "name"),
        ("bicycle", "similar"),
    ]
    similar = choice.tags[-1]
    assert (similar.word, similar.name) == ("bike", "bicycle")
    assert choice.threshold <= similar.score < 1
    (car,) = choice.not_chosen
    assert car.score is not None
    assert car.score < choice.threshold
    # The vectors of names that stay are known; a new name has its own.
    ada.vocabularies.import_text("animals", ANIMALS + "automobile\n")
    (car_tag,) = ada.vocabularies.choose("animals", ["car"]).tags
    assert (car_tag.tag, car_tag.match) == ("automobile", "similar")
    prefer = ada.vocabularies.choose("animals", ["zeppelin"], mode="prefer")
    assert [(each.tag, each.match) for each in prefer.tags] == [("zeppelin", "new")]


def test_choose_for_a_picture(server: Server, ada: SyncAionVision) -> None:
    id = add(server, 820, {"Authorization": f"Bearer {ada.config.api_key}"})
    ada.vocabularies.import_text("animals", ANIMALS)
    ada.files.update(id, tags=["birds", "quiet"], description="A cat sits. It looks at the sea.")
    chosen = ada.vocabularies.choose("animals", file_id=id, mode="prefer").tags
    assert [(each.tag, each.match, each.word) for each in chosen] == [
        ("animal/bird", "name", "birds"),
        ("animal/cat", "name", "cat"),
        ("quiet", "new", "quiet"),
    ]
    where = ["--server", server.url, "--key", ada.config.api_key]
    done = CliRunner().invoke(app, ["vocab", "test", "animals", "--file", id, "--json", *where])
    assert [each["tag"] for each in json.loads(done.output)["tags"]] == [
        *("animal/bird", "animal/cat")
    ]
    with pytest.raises(ResourceNotFoundError):
        ada.vocabularies.choose("animals", file_id=str(uuid.uuid4()))
    with pytest.raises(ValidationError):
        ada.vocabularies.choose("animals", ["cat"], file_id=id)
    with pytest.raises(ValidationError):
        ada.vocabularies.choose("animals")


def test_what_cannot_be_read_changes_nothing(ada: SyncAionVision) -> None:
    made = ada.vocabularies.import_text("animals", ANIMALS)
    for content, issue in (
        ("\n".join(f"t{n}" for n in range(100_000)), "Line 5,001"),
        ("name,parent\na,b\nb,a\n", "above itself"),
        ("\0\0", "no name"),
    ):
        with pytest.raises(ValidationError, match=issue):
            ada.vocabularies.import_text("animals", content)
    assert ada.vocabularies.get("animals").digest == made.digest
    for name in ("", " ", "a/b", "\u200f"):
        with pytest.raises(ValidationError):
            ada.vocabularies.import_text(name, ANIMALS)
    for unknown in ("\0", "no such", str(uuid.uuid4())):
        with pytest.raises(ResourceNotFoundError):
            ada.vocabularies.get(unknown)


def test_two_imports_at_once_leave_one_of_them(ada: SyncAionVision) -> None:
    contents = ["\n".join(f"{letter}{n}" for n in range(500)) for letter in "ab"]
    with ThreadPoolExecutor(2) as both:
        digests = [
            each.digest
            for each in both.map(lambda text: ada.vocabularies.import_text("one", text), contents)
        ]
    assert ada.vocabularies.get("one").digest in digests
    assert len({each.path[0] for each in ada.vocabularies.terms("one")}) == 1
    assert len(ada.vocabularies.list()) == 1


def test_a_limited_number(ada: SyncAionVision) -> None:
    for n in range(100):
        ada.vocabularies.import_text(f"v{n}", "a")
    with pytest.raises(AionvisionError) as refused:
        ada.vocabularies.import_text("another", "a")
    assert refused.value.code == "CONFLICT"
    ada.vocabularies.import_text("V7", "b")


class CountingEmbedder:
    """Makes a vector of each text by itself, and counts them."""

    name = "counting"
    model_version = "counting-1"
    dimensions = 2
    max_tokens = 8

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, text: str) -> Embedding:
        self.texts.append(text)
        angle = int("".join(c for c in text if c.isdigit()) or 0) / 25
        return Embedding((math.cos(angle), math.sin(angle)), 1, whole=True)


async def test_another_vocabulary_does_not_wait_for_the_vectors_of_a_long_one(
    database: PostgresDatabase,
) -> None:
    class Waiting(CountingEmbedder):
        """Makes vectors of the long one's names only when it may."""

        may, begun = threading.Event(), threading.Event()

        def embed(self, text: str) -> Embedding:
            if text.startswith("term"):
                self.begun.set()
                assert self.may.wait(60)
            return super().embed(text)

    embedder = Waiting()
    vocabularies = Vocabularies(database, _Free(embedder))
    tenant = await a_tenant(database)
    await vocabularies.store(tenant, "long", "term 1\nterm 2", VocabularyFormat.TEXT)
    await vocabularies.store(tenant, "short", "cat 1", VocabularyFormat.TEXT)
    long = asyncio.create_task(vocabularies.choose(tenant, "long", ["other 1"], Mode.STRICT))
    await asyncio.to_thread(embedder.begun.wait, 60)
    short = await vocabularies.choose(tenant, "short", ["other 1"], Mode.STRICT)
    assert [each.tag for each in short.tags] == ["cat 1"]
    assert not long.done()
    embedder.may.set()
    assert [each.tag for each in (await long).tags] == ["term 1"]


class _Free(Embeddings):
    """Embeddings whose texts do not take turns."""

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        return [await asyncio.to_thread(self.embedder.embed, each) for each in texts]


async def test_vectors_of_a_large_vocabulary_are_made_over_several_requests(
    database: PostgresDatabase,
) -> None:
    embedder = CountingEmbedder()
    vocabularies = Vocabularies(database, Embeddings(embedder), wait=0.0)
    tenant = await a_tenant(database)
    content = "\n".join(f"term {n}" for n in range(150))
    await vocabularies.store(tenant, "large", content, VocabularyFormat.TEXT)
    named = await vocabularies.choose(tenant, "large", ["term 7"], Mode.STRICT)
    assert [each.tag for each in named.tags] == ["term 7"]
    with pytest.raises(Unavailable, match="100 of its 150 names"):
        await vocabularies.choose(tenant, "large", ["other 31"], Mode.STRICT)
    choice = await vocabularies.choose(tenant, "large", ["other 31"], Mode.STRICT)
    assert [(each.tag, each.match) for each in choice.tags] == [("term 31", Match.SIMILAR)]
    assert embedder.texts == [f"term {n}" for n in range(150)] + ["other 31"]
    # Another process reads them; only a new name is made.
    fresh = CountingEmbedder()
    elsewhere = Vocabularies(database, Embeddings(fresh))
    await elsewhere.store(tenant, "large", content + "\nnew 900", VocabularyFormat.TEXT)
    await elsewhere.choose(tenant, "large", ["other 31"], Mode.STRICT)
    assert fresh.texts == ["new 900", "other 31"]


def test_the_command(server: Server, tmp_path: Path) -> None:
    key = server.new_key(f"vocabularies-{uuid.uuid4()}")
    where = ["--server", server.url, "--key", key]
    file = tmp_path / "Animals.txt"
    file.write_bytes("\ufeffdog = Köter@de\ncat\n".encode("utf-16"))

    def vocab(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["vocab", *arguments, *where])
        return done.exit_code, done.output

    assert vocab("import", str(file)) == (0, "Animals: 2 terms\n")
    assert json.loads(vocab("list", "--json")[1])[0]["term_count"] == 2
    assert "Köter" in vocab("list", "animals")[1]
    code, shown = vocab("test", "animals", "Köter", "stone", "--json")
    assert code == 0
    assert [each["tag"] for each in json.loads(shown)["tags"]] == ["dog"]
    code, shown = vocab("test", "animals", "stone")
    assert (code, "nearest" in shown) == (1, True)
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"dog\n\xff\xfe\xfa\n")
    code, shown = vocab("import", str(bad))
    assert (code, "bad.txt is not UTF-8: line 2" in shown) == (2, True)
    assert vocab("import", str(tmp_path / "none"))[0] == 2
    assert vocab("import", str(file), "--format", "pdf")[0] == 2
    assert vocab("delete", "animals")[0] == 0
    assert vocab("test", "animals", "dog")[0] == 1
