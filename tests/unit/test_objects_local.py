"""The folder store: durable, signed, and never outside its folder."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.blobs import a_blob, record_steps

from ocelli.domain.errors import TooLarge, Unavailable
from ocelli.media.blob_writer import BlobWriter
from ocelli.storage.objects_local import LocalObjects


@pytest.fixture
def store(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "objects", b"secret")


async def test_put_read_delete(store: LocalObjects) -> None:
    await store.put("a/b/c.jpg", a_blob(store.staging, b"1"), "image/jpeg")
    assert await store.read("a/b/c.jpg") == b"1"
    assert list(store.staging.iterdir()) == []
    await store.put("a/b/c.jpg", a_blob(store.staging, b"2"), "image/jpeg")
    assert await store.read("a/b/c.jpg") == b"2"
    await store.delete("a/b/c.jpg")
    await store.delete("a/b/c.jpg")
    with pytest.raises(FileNotFoundError):
        await store.read("a/b/c.jpg")


async def test_a_picture_is_a_file_in_its_tenants_folder(store: LocalObjects) -> None:
    """And what is deleted leaves nothing."""
    key = "uploads/tenant/id/my_cat.jpg"
    await store.put(key, a_blob(store.staging, b"1"), "image/jpeg")
    folder = store.root / "uploads" / "tenant"
    assert [path.name for path in folder.iterdir()] == ["id+my_cat.jpg"]
    for under in ("uploads", "uploads/tenant"):
        assert [each async for some in store.keys(under=under, older_than=-9) for each in some] == [
            key
        ]
    await store.delete(key)
    assert list(folder.iterdir()) == []
    for name in ("x+", "a++b", "+a", "b+..", "notes.txt"):  # whoever put them there
        (folder / name).touch()
    (folder / "old").mkdir()
    (folder / "old" / "a.jpg").touch()
    found = [each async for some in store.keys(under="uploads", older_than=-9) for each in some]
    assert found == ["uploads/tenant/notes.txt"]


@given(st.lists(st.text("ab.-_", min_size=1, max_size=4), min_size=1, max_size=5))
def test_no_two_keys_are_one_file(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    """Their paths can be read back."""
    store = LocalObjects(tmp_path_factory.getbasetemp() / "keys", b"secret")
    key = "/".join(parts)
    if {".", ".."} & set(parts):
        with pytest.raises(FileNotFoundError):
            store.path(key)
    else:
        assert store._key(store.path(key)) == key


@pytest.mark.parametrize(
    "key",
    [
        *("../x", "a/../../x", "/etc/passwd", "", "a\0b", ".."),
        *("a/b/c+d", "a/b/c/d+", "a//b", "a/b/", "./a", "a/./b"),
    ],
)
def test_keys_stay_inside(store: LocalObjects, key: str) -> None:
    with pytest.raises(FileNotFoundError):
        store.path(key)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


# An hour at least: a busy machine may need more than a second from one line to the next.
@given(
    name=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    seconds=st.integers(3600, 10**6),
)
def test_a_signature_is_for_exactly_one_thing(
    tmp_path_factory: pytest.TempPathFactory, name: str | None, seconds: int
) -> None:
    store = LocalObjects(tmp_path_factory.getbasetemp() / "signed", b"secret")
    url = store.url("a/b", expires_in=seconds, content_type="image/png", filename=name)
    query = query_of(url) if not name else dict(parse_qsl(urlsplit(url).query, True))
    if name == "":
        query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    assert store.allows("GET", "a/b", query)
    assert not store.allows("PUT", "a/b", query)
    assert not store.allows("GET", "a/c", query)
    for field in query:
        assert not store.allows("GET", "a/b", {**query, field: query[field] + "0"})
        assert not store.allows("GET", "a/b", {k: v for k, v in query.items() if k != field})
    assert not store.allows("GET", "a/b", {**query, "more": "1"})
    other = LocalObjects(store.root, b"other secret")
    assert not other.allows("GET", "a/b", query)


@given(
    key=st.text("ab/c ü%?&=#", min_size=1, max_size=20).map("x".__add__),
    type=st.sampled_from(["image/png", "image/jpeg", "a&b=c", "é"]),
    size=st.integers(0, 2**40),
    seconds=st.integers(1, 10**6),
    change=st.sampled_from(["expires", "type", "size", "signature"]),
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
def test_an_upload_signature_is_for_exactly_one_upload(
    tmp_path_factory: pytest.TempPathFactory,
    key: str,
    type: str,
    size: int,
    seconds: int,
    change: str,
    value: str,
) -> None:
    store = LocalObjects(tmp_path_factory.getbasetemp() / "signed", b"secret")
    upload = store.upload_url(key, expires_in=seconds, content_type=type, max_bytes=size)
    query = query_of(upload.url)
    assert (query["type"], query["size"]) == (type, str(size))
    assert store.allows("PUT", key, query)
    assert not store.allows("GET", key, query)
    assert not store.allows("PUT", key + "/", query)
    assert not store.allows("PUT", key[1:], query)
    if value != query[change]:
        assert not store.allows("PUT", key, {**query, change: value})
    assert not store.allows("PUT", key, {**query, value: "1"} if value not in query else {})
    del query[change]
    assert not store.allows("PUT", key, query)


async def test_pieces_and_sizes(store: LocalObjects) -> None:
    data = os.urandom(2 * 1024 * 1024 + 1)
    await store.put("a/b", a_blob(store.staging, data), "image/png")
    pieces: list[bytes] = []
    await store.copy_to("a/b", pieces.append)
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) == 1024 * 1024
    assert await store.size("a/b") == len(data)
    assert await store.size("a/c") is None
    with pytest.raises(FileNotFoundError):
        await store.copy_to("a/c", pieces.append)
    with BlobWriter(store.staging, max_bytes=100) as small, pytest.raises(TooLarge):
        await store.copy_to("a/b", small.write)


def test_urls_expire(store: LocalObjects) -> None:
    assert not store.allows(
        "GET", "a", query_of(store.url("a", expires_in=-1, content_type="image/png"))
    )


async def test_old_keys_are_found_in_batches(store: LocalObjects) -> None:
    for number in range(700):
        path = store.path(f"a/{number}")
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (0, time.time() - 100 if number else time.time()))
    batches = [batch async for batch in store.keys(under="a", older_than=50)]
    assert sum(map(len, batches)) == 699
    assert max(map(len, batches)) <= 500


@given(st.lists(st.binary(max_size=3000), max_size=10))
def test_staged_files_count_and_hash(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    import hashlib

    folder = tmp_path_factory.getbasetemp()
    whole = b"".join(pieces)
    with BlobWriter(folder, max_bytes=len(whole)) as file:
        for piece in pieces:
            file.write(piece)
        file.close()
        assert file.size == len(whole)
        assert file.sha256 == hashlib.sha256(whole).hexdigest()
        assert file.path.read_bytes() == whole
        with pytest.raises(TooLarge):
            file.write(b"x")
    assert not file.path.exists()


async def test_what_cannot_be_stored_leaves_nothing_behind(store: LocalObjects) -> None:
    (store.root / "a").write_bytes(b"no folder")
    with a_blob(store.staging, b"1") as blob, pytest.raises(Unavailable):
        await store.put("a/b/c", blob, "image/png")
    (store.root / "b" / "c").mkdir(parents=True)
    with a_blob(store.staging, b"1") as blob, pytest.raises(Unavailable):
        await store.put("b/c", blob, "image/png")
    assert list(store.staging.iterdir()) == []


async def test_what_is_stored_survives_a_power_failure(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is on the disk before it has its name, and the name before the caller hears of it:
    a name that is there already may be one that a row knows."""
    first, second = a_blob(store.staging, b"1"), a_blob(store.staging, b"22" * 50_000)
    steps = record_steps(monkeypatch, store.root)
    await store.put("a/b/c", first, "image/webp")
    assert steps == [
        *("mkdir a", "fsync ."),
        *("mkdir a/b", "fsync a"),
        *("fsync new(1)", "rename new(1) a/b/c", "fsync a/b"),
    ]
    steps.clear()
    await store.put("a/b/c", second, "image/webp")
    assert steps == ["fsync new(100000)", "rename new(100000) a/b/c", "fsync a/b"]


async def test_what_is_stored_once_survives_a_power_failure(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = a_blob(store.staging, b"1")
    steps = record_steps(monkeypatch, store.root)
    await store.put_once("a", blob)
    assert steps == ["fsync new(1)", "link new(1) a", "unlink new(1)", "fsync ."]


async def test_a_folder_that_is_not_mounted_has_lost_nothing(store: LocalObjects) -> None:
    with pytest.raises(FileNotFoundError):
        await store.read("a/b")
    store.root.rename(store.root.with_name("elsewhere"))
    with pytest.raises(Unavailable):
        await store.read("a/b")
    with pytest.raises(Unavailable):
        await store.copy_to("a/b", bytes)
    with pytest.raises(Unavailable):
        await store.put("a/b", a_blob(store.root.parent, b"1"), "image/png")
    LocalObjects(store.root, b"secret")  # a second one starts meanwhile
    with pytest.raises(Unavailable):
        await store.read("a/b")
    with a_blob(store.staging, b"1") as blob, pytest.raises(Unavailable):
        await store.put("a/b", blob, "image/png")
