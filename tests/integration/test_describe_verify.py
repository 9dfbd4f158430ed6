"""``/describe``, ``/verify`` and ``/batch`` over HTTP, on real photos, with the local models."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_main_job import API
from tests.integration.test_storage import a_tenant
from tests.waiting import until

from aion import SyncAionVision
from ocelli.domain.analysis import Analysis, Status, VerificationLevel
from ocelli.storage.postgres.database import PostgresDatabase


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.new_key(f"describe-{uuid.uuid4()}", "--tier", "enterprise")


def post(server: Server, path: str, key: str, body: Any) -> requests.Response:
    return requests.post(
        f"{server.url}{API}{path}",
        headers={"Authorization": f"Bearer {key}"},
        json=body,
        timeout=120,
    )


def get(server: Server, path: str, key: str) -> dict[str, Any]:
    answer = requests.get(
        f"{server.url}{API}{path}", headers={"Authorization": f"Bearer {key}"}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def test_a_description_says_what_was_seen_by_whom(
    server: Server, key: str, photos: dict[str, Path]
) -> None:
    answer = post(server, "/describe/", key, {"image_base64": inline(photos["chelsea"])})
    body = answer.json()
    assert answer.status_code == 200, body
    assert "cat" in body["description"].lower()
    assert (body["verification_level"], body["looks"]) == ("standard", 2)
    assert body["providers_used"] == ["ocelli-local"]
    assert 0 < body["consensus_score"] <= 1
    assert body["claims"] and all(claim["verdicts"] for claim in body["claims"])


def test_the_same_question_again_costs_nothing(
    server: Server, key: str, photos: dict[str, Path]
) -> None:
    ask = {"image_base64": inline(photos["coffee"]), "verification_level": "quick"}
    first = post(server, "/describe", key, ask).json()
    used = get(server, "/usage/breakdown", key)["total_credits_used"]
    again = post(server, "/describe", key, ask).json()
    assert (first["looks"], again["looks"]) == (1, 0)
    assert first["description"] == again["description"]
    assert get(server, "/usage/breakdown", key)["total_credits_used"] == used


def test_what_cannot_be_followed_is_said(server: Server, key: str, photos: dict[str, Path]) -> None:
    ask = {"image_base64": inline(photos["coffee"]), "verification_level": "quick"}
    plain = post(server, "/describe", key, ask).json()
    assert (plain["warnings"], plain["metadata"]["language"]) == ([], "English")
    asked = ask | {"prompt": "Count the spoons.", "language": "German"}
    body = post(server, "/describe", key, asked).json()
    assert body["description"] == plain["description"]
    assert [each.split("`")[1] for each in body["warnings"]] == ["prompt", "language"]
    assert all(each.startswith("ocelli-local ") for each in body["warnings"])
    assert body["metadata"]["language"] == "English"
    again = post(server, "/describe", key, asked).json()
    assert (again["looks"], again["warnings"]) == (0, body["warnings"])


def test_each_operation_is_counted_under_its_name(server: Server, photos: dict[str, Path]) -> None:
    key = server.new_key(f"operations-{uuid.uuid4()}")
    image = {"image_base64": inline(photos["coffee"])}
    options = {"verification_level": "quick"}
    post(server, "/describe", key, image | options)
    post(server, "/verify", key, image | options | {"content": "There is a cup."})
    pairs = [{"image": image, "text": "There is a cup."}, {"image": image, "text": "A dog."}]
    batch = post(server, "/batch/verify", key, {"image_text_pairs": pairs} | options).json()
    path = f"/batch/{batch['batch_id']}"
    until(lambda: get(server, path, key)["status"] == "completed", every=0.2)
    usage = get(server, "/usage/summary", key)["usage"]
    assert (usage["describe_count"], usage["verify_count"], usage["batch_count"]) == (1, 1, 2)
    by_operation = get(server, "/usage/breakdown", key)["by_operation_type"]
    assert by_operation["verify"] == 1
    assert by_operation["batch_verify"] == 1, "one of the two was answered from memory"


def test_a_true_text_is_verified_and_a_false_one_is_not(
    server: Server, key: str, photos: dict[str, Path]
) -> None:
    image = {"image_base64": inline(photos["chelsea"])}
    true = post(server, "/verify/", key, {**image, "content": "There is a cat."}).json()
    false = post(server, "/verify/", key, {**image, "content": "There are two cats."}).json()
    assert true["is_verified"] and not false["is_verified"], (true, false)
    assert true["confidence_score"] > false["confidence_score"]
    assert (true["risk_level"], true["detected_issues"]) == ("low", [])
    (issue,) = false["detected_issues"]
    assert issue["type"] in ("inaccuracy", "unverified")
    assert issue["claim"] == "There are two cats."
    assert false["risk_score"] == pytest.approx(1 - false["confidence_score"], abs=1e-3)


def test_a_noun_phrase_is_verified_as_its_sentence_is(
    server: Server, key: str, photos: dict[str, Path]
) -> None:
    image = {"image_base64": inline(photos["chelsea"]), "verification_level": "quick"}
    told = [
        post(server, "/verify/", key, {**image, "content": text}).json()
        for text in (
            "There is a cat.",
            "A cat.",
            "A cat sleeps on its back.",
            "Two dogs on a beach.",
        )
    ]
    sentence, phrase, more, false = (each["confidence_score"] for each in told)
    assert [each["is_verified"] for each in told] == [True, True, True, False]
    assert sentence == phrase >= more > false


def test_what_cannot_be_judged_is_unknown(
    server: Server, key: str, photos: dict[str, Path]
) -> None:
    image = {"image_base64": inline(photos["chelsea"])}
    body = post(server, "/verify/", key, {**image, "content": "It belongs to my aunt."}).json()
    assert not body["is_verified"]
    assert (body["risk_level"], body["confidence_score"]) == ("medium", 0.5)
    assert (body["hallucination_probability"], body["risk_score"]) == (0.5, 0.5)
    (claim,) = body["verified_claims"]
    assert (claim["text"], claim["kept"]) == ("It belongs to my aunt.", False)
    assert {verdict["ruling"] for verdict in claim["verdicts"]} == {"unknown"}
    (issue,) = body["detected_issues"]
    assert (issue["type"], issue["severity"]) == ("unverified", "medium")
    assert "Unknown: It belongs to my aunt." in body["explanation"]
    both = {**image, "content": "There is a cat. It belongs to my aunt."}
    mixed = post(server, "/verify/", key, both).json()
    assert not mixed["is_verified"] and mixed["risk_level"] == "medium"
    assert 0.5 < mixed["confidence_score"] < 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "VALIDATION_ERROR"),
        ({"image_base64": "no base64!"}, 422, "VALIDATION_ERROR"),
        ({"image_base64": base64.b64encode(b"no picture").decode()}, 422, "VALIDATION_ERROR"),
        ({"object_key": "uploads/nobody/nothing"}, 404, "NOT_FOUND"),
        ({"image_base64": "eA==", "object_key": "x"}, 422, "VALIDATION_ERROR"),
        ({"image_base64": "eA==", "verification_level": "most"}, 422, "VALIDATION_ERROR"),
        ({"image_base64": "eA==", "prompt": "x" * 100_000}, 422, "VALIDATION_ERROR"),
        ({"image_base64": "eA==", "role": "poet"}, 422, "VALIDATION_ERROR"),
        (
            {"image_base64": "eA==", "webhook_url": "http://x", "rules": [1]},
            422,
            "VALIDATION_ERROR",
        ),
    ],
)
def test_bad_questions(server: Server, key: str, body: Any, status: int, code: str) -> None:
    answer = post(server, "/describe/", key, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_nul_is_left_out_and_half_letters_are_refused(server: Server, key: str) -> None:
    image: dict[str, Any] = {
        "image_url": "http://127.0.0.1:9/\0x",
        "metadata": {"a\0": ["b\0", 1.5]},
    }
    for path, body in (
        ("/batch/describe", {"images": [image, {"object_key": "a\0b"}]}),
        ("/batch/verify", {"image_text_pairs": [{"image": image, "text": "a\0b"}]}),
    ):
        accepted = post(server, path, key, body)
        assert accepted.status_code == 202, accepted.text
        results = get(server, f"/batch/{accepted.json()['batch_id']}/results", key)["results"]
        assert results[0]["input_data"]["metadata"] == {"a": ["b", 1.5]}
    assert post(server, "/describe", key, {"object_key": "a\0b"}).status_code == 404
    image["metadata"] = {"a": "\ud800"}
    refused = post(server, "/batch/describe", key, {"images": [image]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=b"])
def test_large_bodies_need_a_key_and_have_an_end(
    server: Server, key: str, announced: bool, content_type: str
) -> None:
    def body(size: int) -> Any:
        pieces = (b" " * 1_000_000 for _ in range(size))
        return pieces if not announced else b"".join(pieces)

    def sent(key: str, size: int) -> int:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type}
        url = f"{server.url}{API}/describe"
        try:
            return requests.post(url, data=body(size), headers=headers, timeout=60).status_code
        except requests.ConnectionError:  # it was refused while we still sent
            return 0

    assert sent("aion_" + "x" * 40, 8) in (401, 0)
    assert sent(key, 160) in (413, 0)
    assert sent(key, 8) in (400, 422)


async def test_what_is_asked_together_is_forgotten_together(database: PostgresDatabase) -> None:
    tenant_id = await a_tenant(database)
    asked, alone = uuid.uuid4(), uuid.uuid4()
    analyses = [
        Analysis(
            id=uuid.uuid4(),
            tenant_id=tenant_id,
            image_id=None,
            object_key="",
            level=VerificationLevel.QUICK,
            status=Status.QUEUED,
            created_at=datetime.now(UTC),
            request_id=request_id,
        )
        for request_id in (asked, asked, alone, None)
    ]
    ended = "UPDATE analyses SET status = 'skipped', completed_at = now() - %s::interval"

    async def kept() -> list[bool]:
        async with database.transaction() as tx:
            await tx.analyses.purge(older_than=86_400)
            return [await tx.analyses.get(tenant_id, each.id) is not None for each in analyses]

    async with database.transaction() as tx:
        await tx.analyses.add(*analyses)
    async with database.connection() as connection:
        ids = [each.id for each in analyses if each is not analyses[1]]
        await connection.execute(ended + " WHERE id = ANY(%s)", ("25 hours", ids))
    assert await kept() == [True, True, False, False]
    for age, left in (("23 hours", True), ("25 hours", False)):
        async with database.connection() as connection:
            await connection.execute(ended + " WHERE id = %s", (age, analyses[1].id))
        assert await kept() == [left, left, False, False]


def test_a_batch_ends_with_the_good_ones_done(
    server: Server, key: str, photos: dict[str, Path]
) -> None:
    images = [
        {"image_base64": inline(photos["chelsea"]), "metadata": {"n": 1}},
        {"image_base64": "no base64!"},
        {"image_base64": inline(photos["coffee"])},
    ]
    accepted = post(
        server, "/batch/describe", key, {"images": images, "verification_level": "quick"}
    )
    assert accepted.status_code == 202, accepted.text
    id = accepted.json()["batch_id"]
    until(lambda: get(server, f"/batch/{id}", key)["progress_percentage"] == 100, every=0.1)
    state = get(server, f"/batch/{id}", key)
    assert (state["status"], state["successful_items"], state["failed_items"]) == (
        "partially_completed", 2, 1,
    )  # fmt: skip
    results = get(server, f"/batch/{id}/results", key)
    assert [item["status"] for item in results["results"]] == ["success", "failed", "success"]
    assert results["results"][0]["input_data"]["metadata"] == {"n": 1}
    assert "cat" in results["results"][0]["output_data"]["description"].lower()
    good = get(server, f"/batch/{id}/results?include_failed=false&limit=1", key)
    assert (good["pagination"]["total"], good["pagination"]["has_more"]) == (2, True)
    gone = requests.delete(
        f"{server.url}{API}/batch/{id}", headers={"Authorization": f"Bearer {key}"}, timeout=60
    )
    assert (gone.status_code, gone.json()["error"]["code"]) == (400, "NOT_CANCELLABLE")


def test_a_batch_that_is_cancelled_ends_what_has_not_begun(
    server: Server, key: str, photos: dict[str, Path]
) -> None:
    pairs = [
        {"image": {"image_base64": inline(photos["camera"])}, "text": f"There are {n} dogs."}
        for n in range(12)
    ]
    id = post(server, "/batch/verify", key, {"image_text_pairs": pairs}).json()["batch_id"]
    gone = requests.delete(
        f"{server.url}{API}/batch/{id}", headers={"Authorization": f"Bearer {key}"}, timeout=60
    )
    assert gone.status_code == 204, gone.text

    def all_ended() -> list[dict[str, Any]] | None:
        results: list[dict[str, Any]] = get(server, f"/batch/{id}/results", key)["results"]
        ended = all(item["status"] in ("success", "skipped") for item in results)
        return results if ended else None

    results = until(all_ended, every=0.1)
    assert any(item["status"] == "skipped" for item in results)
    assert get(server, f"/batch/{id}", key)["status"] == "cancelled"


def test_the_sdk_describes_and_verifies(server: Server, key: str, photos: dict[str, Path]) -> None:
    with SyncAionVision(api_key=key, base_url=f"{server.url}{API}") as client:
        one = client.describe(photos["chelsea"])
        several = client.describe([photos["chelsea"], photos["coffee"]])
        checked = client.verify(photos["chelsea"], "There is a cat.")
    assert "cat" in one.description.lower() and one.provider_count == 1
    assert [r.operation_id != "" for r in several] == [True, True]
    assert checked.is_verified and checked.hallucination_probability < 0.5
