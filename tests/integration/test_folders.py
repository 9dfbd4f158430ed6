"""Folders over HTTP, with the SDK."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Server
from tests.integration.test_files import add
from tests.integration.test_storage import a_tenant, an_image
from tests.waiting import eventually

from aion import AionvisionError, ResourceNotFoundError, SyncAionVision, ValidationError
from ocelli.domain.errors import MalformedRequest
from ocelli.domain.folders import MAX_NAME, folder_name
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.files import Files
from ocelli.usecases.folders import Folders
from ocelli.usecases.store_resolver import StoreResolver


@pytest.fixture
def ada(server: Server) -> Iterator[SyncAionVision]:
    """A person with a tenant of her own."""
    with SyncAionVision(server.new_key(f"folders-{uuid.uuid4()}"), base_url=server.url) as client:
        yield client


def picture(server: Server, client: SyncAionVision, seed: int) -> str:
    return add(server, seed, {"Authorization": f"Bearer {client.config.api_key}"})


def names(client: SyncAionVision) -> list[tuple[int, str]]:
    return [(each.depth, each.name) for each in client.folders.tree().folders]


def listed(client: SyncAionVision, folder_id: str) -> set[str]:
    answer = requests.get(
        f"{client.config.base_url}/user-files",
        params={"folder_id": folder_id},
        headers={"Authorization": f"Bearer {client.config.api_key}"},
        timeout=60,
    )
    return {each["id"] for each in answer.json()["files"]}


def test_a_tree(ada: SyncAionVision) -> None:
    travel = ada.folders.create("Travel")
    italy = ada.folders.create(" Italy ", parent_id=travel.id)
    ada.folders.create("Animals")
    assert names(ada) == [(0, "Animals"), (0, "Travel"), (1, "Italy")]
    assert (italy.name, italy.depth, italy.parent_id) == ("Italy", 1, travel.id)
    found = ada.folders.get(travel.id)
    assert found.folder is not None
    assert found.folder.subfolder_count == 1
    assert [each.id for each in found.subfolders] == [italy.id]
    path = ada.folders.get_breadcrumbs(italy.id).breadcrumbs
    assert [(each.name, each.depth) for each in path] == [("Travel", 0), ("Italy", 1)]
    root = ada.folders.get("root")
    assert (root.folder, [each.name for each in root.subfolders]) == (None, ["Animals", "Travel"])
    assert ada.folders.rename(italy.id, "Italia").name == "Italia"
    assert ada.folders.move(italy.id).parent_id is None
    assert names(ada) == [(0, "Animals"), (0, "Italia"), (0, "Travel")]


def test_what_a_tree_cannot_be(ada: SyncAionVision) -> None:
    top = ada.folders.create("0")
    last, chain = top, [top]
    for number in range(1, 10):
        last = ada.folders.create(str(number), parent_id=last.id)
        chain.append(last)
    with pytest.raises(ValidationError, match="10 levels"):
        ada.folders.create("too deep", parent_id=last.id)
    with pytest.raises(ValidationError, match="in itself"):
        ada.folders.move(top.id, new_parent_id=last.id)
    with pytest.raises(ValidationError, match="in itself"):
        ada.folders.move(top.id, new_parent_id=top.id)
    other = ada.folders.create("other")
    with pytest.raises(ValidationError, match="10 levels"):
        ada.folders.move(top.id, new_parent_id=other.id)
    with pytest.raises(AionvisionError, match="of this name already"):
        ada.folders.create("1", parent_id=top.id)
    ada.folders.create("1")
    with pytest.raises(AionvisionError, match="of this name already"):
        ada.folders.move(chain[1].id)
    with pytest.raises(AionvisionError, match="of this name already"):
        ada.folders.rename(other.id, "0")
    for name in ("", " ", "a/b", "a\\b", "\0", "x" * 256):
        with pytest.raises(ValidationError):
            ada.folders.create(name)
    assert len(names(ada)) == 12


def test_pictures_in_folders(server: Server, ada: SyncAionVision) -> None:
    pictures = [picture(server, ada, 900 + number) for number in range(3)]
    outer = ada.folders.create("outer")
    inner = ada.folders.create("inner", parent_id=outer.id)
    moved = ada.folders.move_files([*pictures[:2], str(uuid.uuid4())], folder_id=outer.id)
    assert (moved.moved, moved.total_requested) == (2, 3)
    ada.folders.move_files(pictures[2:], folder_id=inner.id)
    assert listed(ada, outer.id) == set(pictures[:2])
    assert listed(ada, inner.id) == set(pictures[2:])
    assert listed(ada, "nonsense") == set()
    found = ada.folders.get(outer.id, limit=1)
    assert (found.total_files, found.has_more_files) == (2, True)
    assert ada.folders.get("root").total_files == 0
    gone = ada.folders.delete(outer.id)
    assert (gone.mode, gone.files_affected, gone.subfolders_affected) == ("move_to_parent", 2, 1)
    assert names(ada) == [(0, "inner")]
    assert ada.folders.get("root").total_files == 2
    everything = ada.folders.delete(inner.id, mode="delete_all")
    assert (everything.files_affected, everything.subfolders_affected) == (1, 0)
    with pytest.raises(ResourceNotFoundError):
        ada.files.get(pictures[2])
    assert ada.files.get(pictures[0]).id == pictures[0]


def test_a_deleted_folder_gives_its_place_to_one_in_it(ada: SyncAionVision) -> None:
    outer = ada.folders.create("same")
    ada.folders.create("same", parent_id=outer.id)
    ada.folders.delete(outer.id)
    assert names(ada) == [(0, "same")]
    twin = ada.folders.create("twin")
    ada.folders.create("same", parent_id=twin.id)
    with pytest.raises(AionvisionError, match="of this name already"):
        ada.folders.delete(twin.id)
    assert names(ada) == [(0, "same"), (0, "twin"), (1, "same")]


def test_strangers_folders_are_not_there(server: Server, ada: SyncAionVision) -> None:
    mine = ada.folders.create("mine")
    image = picture(server, ada, 910)
    ada.folders.move_files([image], folder_id=mine.id)
    with SyncAionVision(server.new_key(f"other-{uuid.uuid4()}"), base_url=server.url) as other:
        theirs = other.folders.create("mine")
        assert names(other) == [(0, "mine")]
        for attempt in (
            lambda: other.folders.create("x", parent_id=mine.id),
            lambda: other.folders.move(theirs.id, new_parent_id=mine.id),
            lambda: other.folders.move_files([image], folder_id=mine.id),
        ):
            with pytest.raises(ResourceNotFoundError):
                attempt()
        assert other.folders.move_files([image], folder_id=theirs.id).moved == 0
        assert listed(other, mine.id) == set()
    assert listed(ada, mine.id) == {image}


def test_moves_at_the_same_time_make_no_circle(ada: SyncAionVision) -> None:
    one, two = ada.folders.create("one"), ada.folders.create("two")

    def move(pair: tuple[str, str]) -> bool:
        try:
            ada.folders.move(pair[0], new_parent_id=pair[1])
        except ValidationError:
            return False
        return True

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(move, [(one.id, two.id), (two.id, one.id)])) == [False, True]
    assert [depth for depth, _ in names(ada)] == [0, 1]


@given(st.text(max_size=300))
def test_a_name_is_kept_or_refused(text: str) -> None:
    try:
        name = folder_name(text)
    except MalformedRequest:
        return
    assert 1 <= len(name) <= MAX_NAME
    assert folder_name(name) == name
    assert not {"/", "\\", "\0", "\n"} & set(name)


async def test_moving_and_deleting_at_once_do_not_wait_for_each_other(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    """A deletion locks pictures, then the tenant; a move that did the reverse was a deadlock."""
    tenant_id = await a_tenant(database)
    images = sorted((an_image(tenant_id) for _ in range(2)), key=lambda each: each.id)
    async with database.transaction() as tx:
        for each in images:
            await tx.images.add(each)

    async def waits() -> bool:
        async with database.connection() as connection:
            cursor = await connection.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock'"
            )
            return bool(await cursor.fetchall())

    files = Files(database, StoreResolver(LocalObjects(tmp_path, b"s")))
    ids = [each.id for each in reversed(images)]
    async with database.transaction() as tx:
        await tx.images.delete(tenant_id, images[0].id)
        moving = asyncio.create_task(Folders(database, files).move_files(tenant_id, ids, None))
        await eventually(waits)
        await tx.images.delete(tenant_id, images[1].id)
        await tx.usage.free(tenant_id, 1)
    assert await moving == 0
