"""Tenants never see each other: every route, with the ids of somebody else."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_main_job import API, finished, noise
from tests.integration.test_sessions import upload_batch

PARAMETER_ID = re.compile(r"[0-9a-f-]{36}")
PARAMETER = re.compile(r"\{(\w+)\}")


# Bodies that routes take, so that it is not for them that a request is refused.
BODIES: dict[str, Any] = {
    "/choose": {"words": ["theirs"]},
    "/webhooks/{webhook_id}": {"enabled": False},
    "/move": {},
    "/role": {"role": "viewer"},
    "/title": {"title": "mine now"},
    "/mode": {"use_all_images": False},
    "/images": {"image_ids": []},
    "/action": {"action": "approve"},
    "/messages": {"message": "Show me all pictures"},
    "/messages/stream": {"message": "Show me all pictures"},
}


class Victim:
    """A tenant that has one of everything."""

    def __init__(self, server: Server) -> None:
        self.key = server.new_key("victim", "--credits", "100")
        self.headers = {"Authorization": f"Bearer {self.key}"}
        self.data = noise(777_000)
        batch = upload_batch(server, [("a.png", self.data)], self.key).json()
        image = batch["immediate_results"][0]["image_id"]
        self.reservation = requests.post(
            f"{server.url}{API}/uploads/request-presigned-url",
            headers=self.headers,
            json={"filename": "b.png", "content_type": "image/png", "size_bytes": 9},
            timeout=60,
        ).json()
        export = requests.post(
            f"{server.url}{API}/data/export",
            headers=self.headers,
            json={"data_type": "descriptions", "format": "json"},
            timeout=60,
        ).json()["export_id"]
        key = requests.get(f"{server.url}{API}/api-keys", headers=self.headers, timeout=60)
        asked = requests.get(
            f"{server.url}/api/fetch?url=http://127.0.0.1/a&url=http://127.0.0.1/b",
            headers=self.headers,
            timeout=60,
        ).json()
        edited = f"{server.url}{API}/user-files/{image}"
        body = {"title": "Theirs"}
        requests.patch(edited, headers=self.headers, json=body, timeout=60)
        edits = requests.get(f"{edited}/edits", headers=self.headers, timeout=60).json()["edits"]
        vocabulary = requests.post(
            f"{server.url}{API}/vocabularies",
            headers=self.headers,
            json={"name": "theirs", "content": "theirs"},
            timeout=60,
        ).json()
        policy = requests.post(
            f"{server.url}{API}/escalation-policies",
            headers=self.headers,
            json={
                "name": "theirs",
                "second": {"level": "standard"},
                "when": {"disputed_claims": True},
                "budget": {"share": 1},
            },
            timeout=60,
        ).json()
        webhook = requests.post(
            f"{server.url}{API}/webhooks",
            headers=self.headers,
            json={"url": "https://theirs.invalid/hook"},
            timeout=60,
        ).json()["id"]
        delivery = requests.post(
            f"{server.url}{API}/webhooks/{webhook}/test", headers=self.headers, timeout=60
        ).json()
        folder = requests.post(
            f"{server.url}{API}/folders", headers=self.headers, json={"name": "theirs"}, timeout=60
        ).json()
        plan = requests.post(
            f"{server.url}{API}/agents/organize",
            headers=self.headers,
            json={"intent": "by month", "parent_folder_id": folder["id"]},
            timeout=60,
        ).json()
        chat = requests.post(
            f"{server.url}{API}/chat/sessions",
            headers=self.headers,
            json={"title": "theirs", "initial_image_ids": [image]},
            timeout=60,
        ).json()
        member = requests.post(
            f"{server.url}{API}/tenant/members/invite",
            headers=self.headers,
            json={"email": "theirs@example.com"},
            timeout=60,
        ).json()
        logged = requests.get(
            f"{server.url}{API}/tenant/audit-logs", headers=self.headers, timeout=60
        )
        response = requests.post(
            f"{server.url}/v1/responses",
            headers=self.headers,
            json={"model": "ocelli-local", "input": "Hello"},
            timeout=60,
        ).json()["id"]
        spare = upload_batch(server, [("c.png", noise(777_001))], self.key).json()
        erased = requests.post(
            f"{server.url}{API}/erasures",
            headers=self.headers,
            json={"image_ids": [spare["immediate_results"][0]["image_id"]]},
            timeout=60,
        ).json()
        self.ids = {
            "erasure_id": erased["id"],
            "response_id": response,
            "request_id": asked["request_id"],
            "file_id": image,
            "edit_id": edits[0]["id"],
            "vocabulary_id": vocabulary["id"],
            "policy_id": policy["id"],
            "webhook_id": webhook,
            "delivery_id": delivery["id"],
            "folder_id": folder["id"],
            "plan_id": plan["plan_id"],
            "chat_session_id": chat["session_id"],
            "user_id": member["id"],
            "log_id": logged.json()["entries"][0]["id"],
            "image_id": image,
            "item_id": image,
            "batch_item_id": image,
            "session_id": batch["session_id"],
            "batch_id": batch["session_id"],
            "export_id": export,
            "key_id": key.json()["api_keys"][0]["id"],
            "variant_type": "original",
            "model_id": "victims/model",  # models belong to the installation, not to a tenant
        }


@pytest.fixture(scope="module")
def victim(server: Server) -> Victim:
    return Victim(server)


@pytest.fixture(scope="module")
def stranger(server: Server) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.new_key('stranger-walk')}"}


def routes(server: Server) -> list[tuple[str, str]]:
    paths = requests.get(f"{server.url}/openapi.json", timeout=60).json()["paths"]
    return [(method.upper(), path) for path, item in paths.items() for method in item]


def body_for(path: str, victim: Victim) -> dict[str, Any]:
    """Bodies that name what belongs to the victim."""
    key = victim.reservation["object_key"]
    confirmation = {"object_key": key, "success": True, "file_size": 9}
    return {
        f"{API}/uploads/confirm": {"object_key": key, "size_bytes": 9},
        f"{API}/user-files/upload/confirm": {
            "object_key": key,
            "size_bytes": 9,
            "image_id": victim.reservation["image_id"],
        },
        f"{API}/uploads/batch-confirm": {
            "batch_id": victim.ids["batch_id"],
            "confirmations": [confirmation],
        },
    }[path]


def code_of(answer: requests.Response) -> str:
    """Of /api/v2 and chat; the other dialect has a sentence, with the id in it."""
    error = answer.json()["error"]
    return error["code"] if isinstance(error, dict) else PARAMETER_ID.sub("", error)


def test_every_route_with_somebody_elses_ids(
    server: Server, victim: Victim, stranger: dict[str, str]
) -> None:
    walked = 0
    for method, path in routes(server):
        names = PARAMETER.findall(path)
        if not names:
            continue
        assert set(names) <= set(victim.ids), f"{path}: teach this test its ids"
        mine = PARAMETER.sub(lambda match: victim.ids[match[1]], path)
        nobodys = PARAMETER.sub(
            lambda match: "original" if match[1] == "variant_type" else str(uuid.uuid4()), path
        )
        options: dict[str, Any] = {"headers": stranger, "timeout": 20, "allow_redirects": False}
        if method in ("PUT", "PATCH"):
            options["json"] = {"title" if "user-files" in path else "name": "mine now"}
        for end, body in BODIES.items():
            if path.endswith(end):
                options["json"] = body
        answer = requests.request(method, f"{server.url}{mine}", **options)
        unknown = requests.request(method, f"{server.url}{nobodys}", **options)
        assert answer.status_code == unknown.status_code == 404, f"{method} {path}: {answer.text}"
        assert code_of(answer) == code_of(unknown)
        walked += 1
    assert walked >= 15


def test_bodies_that_name_somebody_elses_things(
    server: Server, victim: Victim, stranger: dict[str, str]
) -> None:
    for path in ("/uploads/confirm", "/user-files/upload/confirm", "/uploads/batch-confirm"):
        answer = requests.post(
            f"{server.url}{API}{path}",
            headers=stranger,
            json=body_for(f"{API}{path}", victim),
            timeout=60,
        )
        assert answer.status_code == 404, path
    deleted = requests.post(
        f"{server.url}{API}/user-files/batch-delete",
        headers=stranger,
        json={"file_ids": [victim.ids["image_id"]]},
        timeout=60,
    ).json()
    assert not deleted["deleted"]
    erased = requests.post(
        f"{server.url}{API}/erasures",
        headers=stranger,
        json={"image_ids": [victim.ids["image_id"]]},
        timeout=60,
    )
    assert erased.status_code == 404
    listed = requests.get(f"{server.url}{API}/erasures", headers=stranger, timeout=60).json()
    assert listed["erasures"] == []
    for decision in ("accept", "reject"):
        decided = requests.post(
            f"{server.url}{API}/reviews/{decision}",
            headers=stranger,
            json={"items": [{"file_id": victim.ids["image_id"]}]},
            timeout=60,
        ).json()
        assert [each["code"] for each in decided["failed"]] == ["NOT_FOUND"]
        assert not decided["done"]
    for path in ("/reviews", "/reviews/labels"):
        listed = requests.get(f"{server.url}{API}{path}", headers=stranger, timeout=60).json()
        assert not (listed.get("items") or listed.get("labels"))
    vocabularies = f"{server.url}{API}/vocabularies"
    body = {"name": "theirs", "content": "mine"}
    stored = requests.post(vocabularies, headers=stranger, json=body, timeout=60).json()
    assert stored["id"] != victim.ids["vocabulary_id"]
    listed = requests.get(vocabularies, headers=stranger, timeout=60).json()["vocabularies"]
    assert [each["id"] for each in listed] == [stored["id"]]
    chosen = requests.post(
        f"{vocabularies}/theirs/choose",
        headers=stranger,
        json={"file_id": victim.ids["image_id"]},
        timeout=60,
    )
    assert chosen.status_code == 404
    policies = f"{server.url}{API}/escalation-policies"
    assert requests.get(policies, headers=stranger, timeout=60).json() == {"policies": []}
    for policy in ("theirs", victim.ids["policy_id"]):
        used = requests.post(
            f"{server.url}{API}/user-files/describe",
            headers=stranger,
            json={"escalation_policy": policy},
            timeout=60,
        )
        assert used.status_code == 404
    for path, ids in (("/agents/search/images", "result_ids"), ("/chat/images/search", "results")):
        found = requests.post(
            f"{server.url}{API}{path}",
            headers=stranger,
            json={"query": "a picture", "image_ids": [victim.ids["image_id"]]},
            timeout=60,
        ).json()
        assert not found[ids]
    for more in (
        {"image_ids": [victim.ids["image_id"]]},
        {"parent_folder_id": victim.ids["folder_id"]},
    ):
        sorted_ = requests.post(
            f"{server.url}{API}/agents/organize",
            headers=stranger,
            json={"intent": "by month", **more},
            timeout=60,
        )
        assert sorted_.status_code == 404
    opened = requests.post(
        f"{server.url}{API}/chat/sessions",
        headers=stranger,
        json={"initial_image_ids": [victim.ids["image_id"]]},
        timeout=60,
    )
    assert opened.status_code == 404
    for path, asked in (
        ("synthesize", {"intent": "x"}),
        ("pipeline", {"steps": [{"agent": "analytics", "intent": "x"}]}),
    ):
        written = requests.post(
            f"{server.url}{API}/agents/{path}",
            headers=stranger,
            json={**asked, "image_ids": [victim.ids["image_id"]]},
            timeout=60,
        )
        assert written.status_code == 404
    members = requests.get(f"{server.url}{API}/tenant/members", headers=stranger, timeout=60)
    assert victim.ids["user_id"] not in {each["id"] for each in members.json()}
    log = requests.get(f"{server.url}{API}/tenant/audit-logs", headers=stranger, timeout=60).json()
    assert victim.ids["log_id"] not in {each["id"] for each in log["entries"]}
    listed = requests.get(f"{server.url}{API}/chat/images/all", headers=stranger, timeout=60)
    assert victim.ids["image_id"] not in listed.json()["image_ids"]
    redescribed = requests.post(
        f"{server.url}{API}/user-files/describe",
        headers=stranger,
        json={"ids": [victim.ids["image_id"]]},
        timeout=60,
    ).json()
    assert redescribed["total_items"] == 0
    answer = upload_batch(
        server,
        [("c.png", noise(777_001))],
        stranger["Authorization"].split()[1],
        session_id=victim.ids["session_id"],
    )
    assert answer.status_code == 404


def test_hashes_tell_nothing(server: Server, victim: Victim, stranger: dict[str, str]) -> None:
    digest = hashlib.sha256(victim.data).hexdigest()
    answer = requests.post(
        f"{server.url}{API}/uploads/check-duplicates",
        headers=stranger,
        json={"hashes": [digest]},
        timeout=60,
    ).json()
    assert answer["unique"] == [digest]
    mine = upload_batch(
        server,
        [("a.png", victim.data)],
        stranger["Authorization"].split()[1],
        skip_duplicates="true",
        auto_describe="false",
    ).json()
    assert not mine["immediate_results"][0]["skipped"]


def test_lists_and_searches_are_empty(server: Server, victim: Victim) -> None:
    finished(server, victim.ids["image_id"], headers=victim.headers)
    nobody = {"Authorization": f"Bearer {server.new_key('nobody-walk')}"}
    lists = {
        "/user-files": "files",
        "/uploads/sessions": "sessions",
        "/chat/sessions": "sessions",
        "/data/descriptions": "results",
    }
    for path, name in lists.items():
        answer = requests.get(f"{server.url}{API}{path}", headers=nobody, timeout=60).json()
        assert answer[name] == [], path
        assert answer["total_count"] == 0
    ids = requests.get(
        f"{server.url}{API}/user-files?ids={victim.ids['image_id']}", headers=nobody, timeout=60
    )
    assert ids.json()["files"] == []
    colors = requests.post(
        f"{server.url}{API}/colors/search",
        headers=nobody,
        json={"hex_code": "#808080", "delta_e_threshold": 100, "min_percentage": 0},
        timeout=60,
    ).json()
    assert colors["results"] == []
    keys = requests.get(f"{server.url}{API}/api-keys", headers=nobody, timeout=60).json()
    assert keys["total"] == 1
