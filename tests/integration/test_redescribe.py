"""Pictures described again: one, by filter, by the SDK and the command; the history stays."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import OCELLI, Server, reachable, start_server
from tests.integration.test_crashes import children
from tests.integration.test_main_job import API, finished, noise
from tests.integration.test_sessions import upload_batch
from tests.waiting import until

from aion import SyncAionVision

PICTURES = 8
ROUNDS = 10  # until a request comes before the workers have done all


class Tenant:
    """A tenant of a test's own, with its requests."""

    def __init__(self, server: Server, *options: str) -> None:
        self.server = server
        self.key = server.new_key(f"again-{uuid.uuid4()}", *options)
        self.headers = {"Authorization": f"Bearer {self.key}"}

    def get(self, path: str) -> dict[str, Any]:
        answer = requests.get(f"{self.server.url}{API}{path}", headers=self.headers, timeout=60)
        return dict(answer.json())

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        url = f"{self.server.url}{API}{path}"
        return requests.post(url, headers=self.headers | headers, json=body, timeout=60)

    def upload(self, count: int, seed: int, **fields: Any) -> list[str]:
        """Pictures of noise; their ids."""
        fields.setdefault("verification_level", "quick")
        files = [(f"{number}.png", noise(seed + number, 32)) for number in range(count)]
        session = upload_batch(self.server, files, self.key, **fields).json()["session_id"]
        path = f"/uploads/sessions/{session}/status"
        until(lambda: self.get(path)["pending_files"] == 0, every=0.2)
        return [row["id"] for row in self.get(f"/user-files?limit={count}")["files"]]

    def ended(self, batch: str) -> dict[str, Any]:
        def final() -> dict[str, Any] | None:
            status = self.get(f"/batch/{batch}")
            return None if status["status"] in ("pending", "processing") else status

        return until(final, every=0.2)

    def all_processed(self, batch: str, count: int) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            status = self.get(f"/batch/{batch}")
            return status if status["processed_items"] == count else None

        return until(found, every=0.2)

    def levels(self, id: str) -> list[str]:
        file = self.get(f"/user-files/{id}")
        return [each["verification_level"] for each in file["full_descriptions"]]

    def client(self) -> SyncAionVision:
        return SyncAionVision(self.key, base_url=self.server.url, polling_interval=0.05)

    def redescribe(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command, with this tenant's key."""
        environment = {"AIONVISION_API_KEY": self.key, "AIONVISION_BASE_URL": self.server.url}
        return subprocess.run(
            [*OCELLI, "redescribe", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=os.environ | environment,
        )


@pytest.fixture
def tenant(server: Server) -> Tenant:
    return Tenant(server)


def test_one_picture_at_another_level_keeps_its_history(tenant: Tenant) -> None:
    (id,) = tenant.upload(1, 610_000)
    requests.patch(  # what a person says stays
        f"{tenant.server.url}{API}/user-files/{id}",
        headers=tenant.headers,
        json={"title": "Mine", "tags": ["own"]},
        timeout=60,
    )
    before = tenant.get(f"/user-files/{id}")
    answer = tenant.post(f"/user-files/{id[:8]}/describe", {"verification_level": "critical"})
    assert answer.status_code == 202
    asked = answer.json()
    assert (asked["image_id"], asked["total_items"]) == (id, 1)
    meanwhile = tenant.get(f"/user-files?ids={id}")["files"][0]
    assert meanwhile["upload_description"] == before["upload_description"]
    assert meanwhile["has_full_description"]
    assert tenant.ended(asked["batch_id"])["status"] == "completed"
    file = finished(tenant.server, id, tenant.headers)
    assert [each["verification_level"] for each in file["full_descriptions"]] == [
        "quick",
        "critical",
    ]
    assert file["full_descriptions"][0] == before["full_descriptions"][0]
    assert (file["title"], file["tags"]) == ("Mine", ["own"])
    assert file["verification_level"] == "critical"
    history = tenant.get("/data/descriptions")["results"]
    assert [each["metadata"]["verification_level"] for each in history] == ["critical", "quick"]
    assert {each["metadata"]["backends"] for each in history} == {"ocelli-local"}
    item = tenant.get(f"/batch/{asked['batch_id']}/results")["results"][0]
    assert item["input_data"]["image_id"] == id
    assert item["output_data"]["verification_level"] == "critical"
    assert tenant.get("/usage/summary")["total_credits"] == 1 + 3


def test_only_what_matches_is_described_again(tenant: Tenant) -> None:
    plain = tenant.upload(2, 611_000)
    marked = tenant.upload(3, 612_000, tags="again, and again")
    asked = tenant.post(
        "/user-files/describe", {"tags": ["again"], "verification_level": "standard"}
    ).json()
    assert asked["total_items"] == len(marked) == 3
    assert tenant.ended(asked["batch_id"])["successful_items"] == 3
    assert {tuple(tenant.levels(id)) for id in marked} == {("quick", "standard")}
    assert {tuple(tenant.levels(id)) for id in plain} == {("quick",)}
    nothing = tenant.post("/user-files/describe", {"search": "no such word anywhere"}).json()
    assert (nothing["total_items"], nothing["status"]) == (0, "completed")
    misspelt = tenant.post("/user-files/describe", {"tag": ["again"]})
    assert misspelt.status_code == 422, "it would have been all pictures"
    stranger = tenant.post("/user-files/describe", {"providers": ["gpt-9"]})
    assert (stranger.status_code, stranger.json()["error"]["details"]["field"]) == (
        422,
        "providers",
    )
    assert tenant.post(f"/user-files/{plain[0]}/describe", {"providers": ["x"]}).status_code == 422
    everything = tenant.post("/user-files/describe", {"verification_level": "quick"}).json()
    assert everything["total_items"] == 5


def test_the_same_request_is_one_batch(tenant: Tenant) -> None:
    ids = tenant.upload(3, 613_000)
    key = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"verification_level": "thorough"}
    first = tenant.post("/user-files/describe", body, **key).json()
    second = tenant.post("/user-files/describe", body, **key).json()
    other = tenant.post("/user-files/describe", body).json()
    assert second["batch_id"] == first["batch_id"] != other["batch_id"]
    assert other["already_queued"] + other["total_items"] == 3
    tenant.ended(first["batch_id"])
    tenant.ended(other["batch_id"])
    described = sum(len(tenant.levels(id)) for id in ids)
    assert described == 3 + first["total_items"] + other["total_items"]


def test_a_limit_of_the_month_is_kept(server: Server) -> None:
    tenant = Tenant(server, "--tier", "free")  # 15 descriptions
    for seed in (614_000, 614_100):
        files = [(f"{number}.png", noise(seed + number, 32)) for number in range(8)]
        upload_batch(server, files, tenant.key, auto_describe="false")
    refused = tenant.post("/user-files/describe", {})
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "USAGE_LIMIT_EXCEEDED"
    rows = tenant.get("/user-files")["files"]
    assert {row["description_status"] for row in rows} == {"skipped"}, "none was begun"
    assert tenant.post("/user-files/describe", {"search": "0.png"}).json()["total_items"] == 2


def test_a_key_that_only_reads_may_not(server: Server) -> None:
    tenant = Tenant(server, "--scopes", "read")
    for path in ("/user-files/describe", f"/user-files/{uuid.uuid4()}/describe"):
        assert tenant.post(path, {}).status_code == 403


def test_what_is_called_off_leaves_the_description(tenant: Tenant) -> None:
    tenant.upload(PICTURES, 615_000)
    delivered = 0
    for _ in range(ROUNDS):
        batch = tenant.post("/user-files/describe", {"verification_level": "critical"}).json()
        url = f"{tenant.server.url}{API}/batch/{batch['batch_id']}"
        assert requests.delete(url, headers=tenant.headers, timeout=60).status_code == 204
        done = tenant.all_processed(batch["batch_id"], PICTURES)
        assert done["failed_items"] == 0
        delivered += done["successful_items"]
        if done["successful_items"] < PICTURES:
            break
    else:
        pytest.fail("no description was called off")
    rows = tenant.get("/user-files")["files"]
    assert {row["description_status"] for row in rows} == {"completed"}
    assert all(row["upload_description"] for row in rows)
    assert tenant.get("/usage/breakdown")["total_credits_used"] == PICTURES + 3 * delivered


def test_the_sdk_describes_again(tenant: Tenant) -> None:
    ids = tenant.upload(3, 616_000)
    with tenant.client() as client:
        one = client.files.redescribe(ids[0], verification_level="standard")
        assert one.image_id == ids[0]
        client.uploads.wait_for_description(ids[0])
        batch = client.files.redescribe_matching(ids=ids[1:], verification_level="critical")
        assert client.batch.wait_for_completion(batch.batch_id).successful_items == 2
        assert client.files.get(ids[1]).verification_level == "critical"
    assert [tenant.levels(id) for id in ids] == [
        ["quick", "standard"],
        ["quick", "critical"],
        ["quick", "critical"],
    ]


def test_known_pictures_are_described_at_the_level_of_their_upload(
    tenant: Tenant, tmp_path: Path
) -> None:
    paths = []
    for number in range(4):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(noise(617_000 + number, 32))
    with tenant.client() as client:
        client.upload(paths, verification_level="quick")
        same = client.upload(paths, verification_level="quick")
        assert not any(result.redescribed for result in same)
        assert not any(result.redescribed for result in client.upload(paths))
        again = client.upload(paths, verification_level="critical")
        assert all(result.redescribed and result.is_completed for result in again)
        alone = client.upload_one(paths[0], verification_level="standard")
    assert (alone.redescribed, alone.verification_level) == (True, "standard")
    assert tenant.levels(again[0].image_id) == ["quick", "critical", "standard"]
    assert tenant.levels(again[1].image_id) == ["quick", "critical"]


def test_an_upload_describes_what_was_cancelled(tenant: Tenant, tmp_path: Path) -> None:
    for turn in range(ROUNDS):
        seed = 618_000 + 100 * turn
        files = [(f"{number}.png", noise(seed + number, 32)) for number in range(PICTURES)]
        session = upload_batch(tenant.server, files, tenant.key).json()["session_id"]
        tenant.post(f"/uploads/sessions/{session}/cancel")
        cancelled = tenant.get(f"/uploads/sessions/{session}/status")["skipped_files"]
        if cancelled:
            break
    else:
        pytest.fail("no description was cancelled")
    for name, data in files:
        (tmp_path / name).write_bytes(data)
    with tenant.client() as client:
        results = client.upload(tmp_path)
    assert all(result.is_completed for result in results)
    assert sum(bool(result.redescribed) for result in results) >= cancelled


def test_the_command_says_what_it_did(tenant: Tenant) -> None:
    ids = tenant.upload(3, 619_000)
    done = tenant.redescribe("--level", "critical", "--backend", "ocelli-local", "--ids", ids[0])
    assert (done.returncode, done.stdout) == (0, "1 described again\n"), done.stderr
    assert [len(tenant.levels(id)) for id in ids] == [2, 1, 1]
    found = json.loads(tenant.redescribe("--no-has-description", "--json").stdout)
    assert found["total_items"] == 0
    nothing = tenant.redescribe("--search", "no such word anywhere")
    assert (nothing.returncode, nothing.stdout) == (0, "no picture matches\n")
    wrong = tenant.redescribe("--level", "extreme")
    assert wrong.returncode == 2
    assert "quick, standard, thorough, critical" in wrong.stderr


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Server]:
    """A server of its own, to be broken."""
    server = start_server(reachable(tmp_path) / "data", "--workers", "1")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def test_killed_in_the_middle_each_is_described_again_exactly_once(fragile: Server) -> None:
    tenant = Tenant(fragile)
    ids = tenant.upload(20, 620_000)
    environment = {"AIONVISION_API_KEY": tenant.key, "AIONVISION_BASE_URL": fragile.url}
    with subprocess.Popen(
        [*OCELLI, "redescribe", "--level", "standard", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as command:
        until(
            lambda: len(tenant.get("/data/descriptions")["results"]) >= 23, every=0.2, fleeting=True
        )
        for word in ("child worker", "child api"):
            children(fragile, word)[0].kill()
        output, _ = command.communicate(timeout=120)
    assert command.returncode == 0
    report = json.loads(output)
    assert (report["successful_items"], report["failed_items"]) == (20, 0)
    assert [tenant.levels(id) for id in ids] == [["quick", "standard"]] * 20
    assert tenant.get("/usage/breakdown")["total_credits_used"] == 20 * (1 + 2)
