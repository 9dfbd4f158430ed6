"""Escalation policies over HTTP: store, look, delete; what they do for pictures of all ways in."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import Server, reachable, start_server
from tests.integration.test_main_job import API, finished, noise
from tests.upstream.server import Rates, SceneServer
from tests.waiting import until
from typer.testing import CliRunner

from aion import SyncAionVision, ValidationError
from ocelli.cli.main import app
from ocelli.domain.escalation import policy_from_json

NOTHING = "http://127.0.0.1:9/v1"
NAMES = ("cheap", "dear", "checker")
ALWAYS: dict[str, Any] = {
    "first": {"backend": "cheap", "level": "quick"},
    "second": {"backend": "dear", "level": "standard"},
    "when": {"confidence_below": 1},
    "budget": {"calls": 1000},
}
LOCAL: dict[str, Any] = {
    "first": {"level": "quick"},
    "second": {"backend": "ocelli-local", "level": "critical"},
    "when": {"confidence_below": 1},
    "budget": {"share": 1},
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[SceneServer]:
    with SceneServer(Rates(planted=0.4)) as server:
        yield server


def backends_of(upstream: SceneServer) -> dict[str, Any]:
    backends: dict[str, dict[str, Any]] = {
        name: {"provider": "vllm", "base_url": upstream.url, "model": name, "sight_test": False}
        for name in NAMES
    }
    backends["down"] = backends["dear"] | {"base_url": NOTHING, "retries": 0}
    return backends


@pytest.fixture(scope="module")
def served(upstream: SceneServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    backends = backends_of(upstream)
    data = reachable(tmp_path_factory.mktemp("policies")) / "data"
    running = start_server(data, "--workers", "1", OCELLI_BACKENDS=json.dumps(backends))
    yield running
    running.stop()
    assert running.process.stdout is not None
    running.process.stdout.close()


class Tenant:
    """A tenant of its own, over HTTP."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key = server.new_key(f"policies-{uuid.uuid4()}")
        self.headers = {"Authorization": f"Bearer {self.key}"}

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        url = f"{self.server.url}{API}{path}"
        return requests.request(method, url, headers=self.headers, timeout=60, **more)

    def store(self, name: str, document: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"name": name, **document, **more}
        answer = self.call("POST", "/escalation-policies", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def describe(self, data: bytes, **question: Any) -> requests.Response:
        body = {"image_base64": base64.b64encode(data).decode(), **question}
        return self.call("POST", "/describe", json=body)

    def detail(self, id: str) -> dict[str, Any]:
        return finished(self.server, id, headers=self.headers)


@pytest.fixture
def mine(server: Server) -> Tenant:
    return Tenant(server)


@pytest.fixture
def scenes(served: Server) -> Tenant:
    return Tenant(served)


def test_store_look_and_delete(mine: Tenant) -> None:
    made = mine.store("careful", LOCAL)
    assert made["is_default"] is False
    assert made["budget"] == {"calls": None, "credits": None, "share": 1.0}
    spent = made["spent"]
    assert (spent["pictures"], spent["calls"], spent["credits"]) == (0, 0, 0)
    by_id = mine.call("GET", f"/escalation-policies/{made['id']}").json()
    assert by_id == mine.call("GET", "/escalation-policies/careful").json() == made
    again = mine.store("careful", LOCAL | {"budget": {"calls": 3}}, is_default=True)
    assert (again["id"], again["is_default"]) == (made["id"], True)
    mine.store("other", LOCAL, is_default=True)
    listed = mine.call("GET", "/escalation-policies").json()["policies"]
    assert [(each["name"], each["is_default"]) for each in listed] == [
        ("careful", False),
        ("other", True),
    ]
    assert mine.call("DELETE", "/escalation-policies/careful").status_code == 204
    for method in ("GET", "DELETE"):
        assert mine.call(method, "/escalation-policies/careful").status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"budget": {}}, "budget"),
        ({"budget": None}, "budget"),
        ({"budget": {"calls": -1}}, "budget.calls"),
        ({"budget": {"share": 2}}, "budget.share"),
        ({"when": {}}, "when"),
        ({"when": {"confidence_below": 1.01}}, "when.confidence_below"),
        ({"when": {"confidence_below": "0.5x"}}, "when.confidence_below"),
        ({"when": {"kinds": ["cats"]}}, "when.kinds"),
        ({"first": {"backend": "nowhere"}}, "first.backend"),
        ({"second": {"backend": "openai"}}, "second.backend"),
        ({"second": {"backend": "ocelli-local", "level": "quick"}}, "second"),
        ({"second": {"level": "quick"}}, "second"),
        ({"name": "none"}, "name"),
        ({"name": "a b"}, "name"),
        ({"seconds": {}}, "seconds"),
    ],
)
def test_bad_policies_are_refused_with_the_field(
    mine: Tenant, change: dict[str, Any], field: str
) -> None:
    answer = mine.call("POST", "/escalation-policies", json={"name": "x"} | LOCAL | change)
    assert answer.status_code == 422, answer.text
    assert field in json.dumps(answer.json()["error"]["details"])
    if "name" not in change:
        inline = mine.describe(noise(1), escalation_policy=LOCAL | change)
        assert inline.status_code == 422, inline.text
    assert mine.call("GET", "/escalation-policies").json()["policies"] == []


def test_no_number_is_no_threshold(mine: Tenant) -> None:
    for text in ("NaN", "Infinity", "-Infinity", "1e999"):
        body = json.dumps({"name": "x", **LOCAL}).replace('below": 1', f'below": {text}')
        answer = mine.call("POST", "/escalation-policies", data=body)
        assert answer.status_code in (400, 422), answer.text


def test_a_picture_that_is_doubtful_is_looked_at_again(
    scenes: Tenant, upstream: SceneServer
) -> None:
    upstream.reset()
    policy = scenes.store("always", ALWAYS)
    body = scenes.describe(upstream.picture(31), escalation_policy="always").json()
    assert [each.model for each in upstream.calls] == ["cheap", "dear", "cheap"]
    record = body["escalation"]
    assert (record["policy"], record["outcome"]) == ("always", "escalated")
    assert record["reasons"] == ["low_confidence"]
    assert record["answered_by"] == record["second"]
    assert (record["second"]["backend"], record["second"]["level"]) == ("dear", "standard")
    assert (record["first"]["backend"], record["first"]["looks"]) == ("cheap", 1)
    assert (body["looks"], body["verification_level"]) == (3, "standard")
    assert body["providers_used"][0] == "dear"
    spent = scenes.call("GET", f"/escalation-policies/{policy['id']}").json()["spent"]
    assert (spent["pictures"], spent["escalated"]) == (1, 1)
    assert (spent["calls"], spent["credits"]) == (2, 2.0)


def test_only_the_doubtful_ones_of_a_batch_are_and_the_budget_holds(
    scenes: Tenant, upstream: SceneServer
) -> None:
    """The cheap model errs on 40 of 100 claims; the budget is that of three second looks."""
    upstream.reset()
    policy = ALWAYS | {"when": {"confidence_below": 0.8}, "budget": {"calls": 6}}
    images = [
        {"image_base64": base64.b64encode(upstream.picture(number)).decode()}
        for number in range(40, 48)
    ]
    sent = scenes.call(
        "POST", "/batch/describe", json={"images": images, "escalation_policy": policy}
    )
    assert sent.status_code == 202, sent.text
    path = f"/batch/{sent.json()['batch_id']}"
    until(lambda: scenes.call("GET", path).json()["status"] == "completed", every=0.1)
    results = scenes.call("GET", f"{path}/results").json()["results"]
    records = [each["output_data"]["escalation"] for each in results]
    outcomes = [each["outcome"] for each in records]
    assert outcomes.count("escalated") == 3
    assert outcomes.count("budget_exhausted") + outcomes.count("not_needed") == 5
    assert [each.model for each in upstream.calls].count("dear") == 3
    for result, record in zip(results, records, strict=True):
        assert record["policy"] is None
        doubtful = record["first"]["confidence"] < 0.8
        assert bool(record["reasons"]) == doubtful
        answered = record["answered_by"]["backend"]
        assert answered == ("dear" if record["outcome"] == "escalated" else "cheap")
        assert result["output_data"]["providers_used"][0] == answered
        if record["outcome"] == "budget_exhausted":
            assert "6 of 6 calls" in record["message"]


def test_a_second_backend_that_is_away_leaves_the_first_answer(
    scenes: Tenant, upstream: SceneServer
) -> None:
    document = ALWAYS | {"second": {"backend": "down", "level": "quick"}}
    policy = scenes.store("away", document)
    body = scenes.describe(upstream.picture(33), escalation_policy="away").json()
    record = body["escalation"]
    assert (record["outcome"], record["answered_by"]["backend"]) == ("failed", "cheap")
    assert record["message"]
    assert body["description"]
    assert [each["source"] for each in body["errors"]] == ["down"]
    spent = scenes.call("GET", f"/escalation-policies/{policy['id']}").json()["spent"]
    assert (spent["pictures"], spent["escalated"], spent["calls"]) == (1, 0, 0)


def test_the_default_policy_counts_for_every_way_in(mine: Tenant, tmp_path: Path) -> None:
    mine.store("mine", LOCAL, is_default=True)
    data = [noise(9_100 + number) for number in range(6)]
    by_stream = upload(mine, data[0])
    by_batch = upload(mine, data[1], batch=True)
    by_single = presigned(mine, data[2])
    by_prepared = prepared(mine, data[3])
    for id in (by_stream, by_batch, by_single, by_prepared):
        newest = mine.detail(id)["full_descriptions"][-1]
        assert newest["escalation"]["policy"] == "mine"
        assert (newest["escalation"]["outcome"], newest["looks"]) == ("escalated", 4)
        assert newest["verification_level"] == mine.detail(id)["verification_level"] == "critical"
    body = mine.describe(data[4]).json()
    assert body["escalation"]["policy"] == "mine"

    # What names a level, or no policy, gets none.
    assert mine.describe(data[5], verification_level="quick").json()["escalation"] is None
    assert mine.describe(data[5], escalation_policy="none").json()["escalation"] is None
    plain = upload(mine, noise(9_201), verification_level="quick")
    assert mine.detail(plain)["full_descriptions"][-1]["escalation"] is None
    without = upload(mine, noise(9_202), escalation_policy="none")
    assert mine.detail(without)["full_descriptions"][-1]["escalation"] is None
    named = prepared(mine, noise(9_203), verification_level="quick")
    assert mine.detail(named)["full_descriptions"][-1]["escalation"] is None

    # Described again by name.
    asked = mine.call("POST", f"/user-files/{plain}/describe", json={"escalation_policy": "mine"})
    assert asked.status_code == 202, asked.text
    done = until(lambda: described_twice(mine, plain), every=0.1)
    assert done["full_descriptions"][-1]["escalation"]["policy"] == "mine"
    # A deleted one no longer counts.
    mine.call("DELETE", "/escalation-policies/mine")
    later = upload(mine, noise(9_204))
    assert mine.detail(later)["full_descriptions"][-1]["escalation"] is None


def test_a_request_names_a_policy_or_a_level(mine: Tenant) -> None:
    mine.store("mine", LOCAL)
    data = noise(9_300)
    for more in ({"verification_level": "quick"}, {"providers": ["ocelli-local"]}):
        answer = mine.describe(data, escalation_policy="mine", **more)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert mine.describe(data, escalation_policy="nothing").status_code == 404


def test_a_policy_of_another_tenant_is_none(mine: Tenant, server: Server) -> None:
    policy = mine.store("mine", LOCAL)
    other = Tenant(server)
    for name in ("mine", policy["id"]):
        for method in ("GET", "DELETE"):
            assert other.call(method, f"/escalation-policies/{name}").status_code == 404
        assert other.describe(noise(9_400), escalation_policy=name).status_code == 404
        files = {"file": ("a.png", noise(9_401))}
        sent = other.call(
            "POST", "/user-files/upload/stream", files=files, data={"escalation_policy": name}
        )
        assert sent.status_code == 404
    other.store("mine", LOCAL | {"budget": {"calls": 0}}, is_default=True)
    assert mine.call("GET", "/escalation-policies/mine").json() == policy
    assert mine.describe(noise(9_402)).json()["escalation"] is None


def test_the_meters_count_both_steps(mine: Tenant) -> None:
    before = usage(mine)
    mine.describe(noise(9_500), escalation_policy=LOCAL)
    assert usage(mine) - before == 4


def test_the_library_and_the_command(mine: Tenant, server: Server, tmp_path: Path) -> None:
    where = ["--server", server.url, "--key", mine.key]

    def policy(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["policy", *arguments, *where], env={"COLUMNS": "200"})
        return done.exit_code, done.output

    file = tmp_path / "careful.json"
    file.write_text(json.dumps(LOCAL))
    stored_it = policy("set", str(file), "--default")
    assert stored_it == (0, "careful is stored, the default\n"), stored_it[1]
    assert "careful (default)" in policy("list")[1]
    with SyncAionVision(mine.key, base_url=server.url, polling_interval=0.05) as client:
        (stored,) = client.escalation_policies.list()
        assert (stored.name, stored.second.level, stored.budget.share) == ("careful", "critical", 1)
        file.write_text(
            json.dumps(client.escalation_policies.get("careful").to_dict(), default=str)
        )
        picture = client.upload_one(noise(9_601), filename="a.png")
        done = client.files.get(picture.image_id).full_descriptions[-1].escalation
        assert done is not None
        assert (done.policy, done.outcome, done.reasons) == (
            *("careful", "escalated"),
            ["low_confidence"],
        )
        assert done.answered_by is not None
        assert (done.answered_by.backend, done.answered_by.level) == ("ocelli-local", "critical")
        without = client.upload_one(noise(9_602), filename="b.png", escalation_policy="none")
        assert client.files.get(without.image_id).full_descriptions[-1].escalation is None
        described = client.describe(
            noise(9_603), escalation_policy=LOCAL | {"budget": {"calls": 0}}
        )
        assert described.escalation is not None
        assert described.escalation.outcome == "budget_exhausted"
        several = client.describe([noise(9_604), noise(9_605)], escalation_policy="careful")
        assert [each.escalation.policy for each in several if each.escalation] == ["careful"] * 2
        again = client.files.redescribe(without.image_id, escalation_policy="careful")
        client.batch.wait_for_completion(again.batch_id)
        newest = client.files.get(without.image_id).full_descriptions[-1]
        assert newest.escalation is not None
        assert (newest.escalation.outcome, newest.verification_level) == ("escalated", "critical")
        spent = client.escalation_policies.get("careful").spent
        assert (spent.pictures, spent.escalated, spent.calls) == (4, 4, 12)
        with pytest.raises(ValidationError, match="budget"):
            client.escalation_policies.store("x", second={}, when={}, budget={})
        with pytest.raises(ValidationError, match="not configured"):
            client.escalation_policies.store(
                "x", second={"backend": "gone"}, when=LOCAL["when"], budget={"calls": 1}
            )
    assert policy("set", str(file), "--name", "again") == (0, "again is stored\n")
    assert json.loads(policy("list", "again", "--json")[1])[0]["first"]["level"] == "quick"
    for text, problem in (
        ("[]", "an object"),
        ("{", "Expecting"),
        ('{"second": {}}', "missing"),
        ('{"third": 1}', "third"),
        (json.dumps(LOCAL | {"budget": {"calls": -1}}), "calls"),
    ):
        file.write_text(text)
        code, output = policy("set", str(file))
        assert (code, problem in output) == (2, True), output
    assert policy("set", str(tmp_path / "none.json"))[0] == 2
    assert policy("delete", "careful") == (0, "careful is deleted\n")
    assert policy("delete", "careful")[0] == 1


@pytest.fixture
def labelled(upstream: SceneServer, tmp_path: Path) -> Path:
    """Scenes as pictures, with labels that are known to be true."""
    lines = []
    for number in range(60, 64):
        (tmp_path / f"{number}.png").write_bytes(upstream.picture(number))
        it = upstream.scene(number)
        objects = {f"{group.color} {group.noun}": group.count for group in it.groups}
        lines.append({"file": f"{number}.png", "objects": objects, "text": list(it.words)})
    text = "\n".join(json.dumps(line) for line in lines)
    (tmp_path / "labels.jsonl").write_text(text)
    (tmp_path / "policy.json").write_text(json.dumps(ALWAYS))
    return tmp_path


def test_quality_against_cost_is_measured(
    labelled: Path, upstream: SceneServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCELLI_BACKENDS", json.dumps(backends_of(upstream)))
    monkeypatch.setenv("COLUMNS", "160")
    plot, fitted = labelled / "plot.svg", labelled / "fitted.json"
    command = ["eval", str(labelled), "--labels", str(labelled / "labels.jsonl")]
    command += ["--policy", str(labelled / "policy.json")]
    command += ["--error", "0.25", "--plot", str(plot), "--fit", str(fitted)]
    shown = CliRunner().invoke(app, [*command, "--json"])
    assert shown.exit_code == 0, shown.output
    figures = json.loads(shown.stdout)
    first, second = figures["alone"]
    assert second["false_claims"]["share"] < first["false_claims"]["share"]
    assert first["looks_per_picture"] == 1
    assert second["looks_per_picture"] == 2
    assert [each["looks_per_picture"] for each in figures["curve"]][-1] == 3
    found, others = figures["found_on"], figures["came_out_on_others"]
    assert found["pictures"] == others["pictures"] == 2
    assert found["false_claims"]["share"] <= 0.25
    assert figures["confidence_below"] == found["confidence_below"]
    assert plot.read_text().startswith("<?xml")
    policy = policy_from_json(json.loads(fitted.read_text()))
    assert policy.when.confidence_below == figures["confidence_below"]
    assert policy.calibration is not None


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--error", "nan"], "--error"),
        (["--error", "1.5"], "--error"),
        (["--level", "quick"], "--level"),
        (["--plot", "plot.gif"], "plot.gif"),
        (["--policy", "missing.json"], "missing.json"),
    ],
)
def test_a_wrong_use_of_eval_is_said_at_once(
    labelled: Path, arguments: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(labelled)
    command = ["eval", ".", "--labels", "labels.jsonl", "--policy", "policy.json", *arguments]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, problem in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"budget": {}}, "budget"),
        ({"second": {"backend": "gone"}}, "gone is not configured"),
        ({"first": {"backend": "ocelli-local"}, "second": {"level": "quick"}}, "same"),
    ],
)
def test_a_policy_that_cannot_be_measured_is_refused(
    labelled: Path, change: dict[str, Any], problem: str
) -> None:
    (labelled / "policy.json").write_text(json.dumps(LOCAL | change))
    command = ["eval", str(labelled), "--labels", str(labelled / "labels.jsonl")]
    done = CliRunner().invoke(app, [*command, "--policy", str(labelled / "policy.json")])
    assert (done.exit_code, problem in done.output) == (2, True), done.output


def usage(tenant: Tenant) -> int:
    return int(tenant.call("GET", "/usage/breakdown").json()["total_credits_used"])


def upload(tenant: Tenant, data: bytes, *, batch: bool = False, **fields: str) -> str:
    path = "/user-files/upload/stream-batch" if batch else "/user-files/upload/stream"
    files = {"files" if batch else "file": ("a.png", data)}
    answer = tenant.call("POST", path, files=files, data=fields).json()
    return str(answer["immediate_results"][0]["image_id"] if batch else answer["image_id"])


def presigned(tenant: Tenant, data: bytes) -> str:
    body = {"filename": "a.png", "content_type": "image/png", "size_bytes": len(data)}
    reserved = tenant.call("POST", "/uploads/request-presigned-url", json=body).json()
    send(reserved, data)
    confirmation = {"object_key": reserved["object_key"], "size_bytes": len(data)}
    return str(tenant.call("POST", "/uploads/confirm", json=confirmation).json()["upload_id"])


def prepared(tenant: Tenant, data: bytes, **more: str) -> str:
    file = {"filename": "a.png", "content_type": "image/png", "size_bytes": len(data)}
    batch = tenant.call("POST", "/uploads/batch-prepare", json={"files": [file], **more}).json()
    (reserved,) = batch["presigned_urls"]
    send(reserved, data)
    confirmations = [
        {"object_key": reserved["object_key"], "success": True, "file_size": len(data)}
    ]
    body = {"batch_id": batch["batch_id"], "confirmations": confirmations}
    answer = tenant.call("POST", "/uploads/batch-confirm", json=body)
    assert answer.status_code == 200, answer.text
    return str(reserved["image_id"])


def send(reserved: dict[str, Any], data: bytes) -> None:
    headers = reserved.get("upload_headers") or {}
    requests.put(reserved["upload_url"], data=data, headers=headers, timeout=60).raise_for_status()


def described_twice(tenant: Tenant, id: str) -> dict[str, Any] | None:
    found = tenant.call("GET", f"/user-files/{id}").json()
    return found if len(found["full_descriptions"]) == 2 else None
