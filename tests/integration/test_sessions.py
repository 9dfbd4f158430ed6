"""Batches and sessions: exact counters, partial success, cancel, live progress."""

from __future__ import annotations

import json
import os
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_main_job import API, get, noise, upload
from tests.waiting import until

STREAM_BATCH = f"{API}/user-files/upload/stream-batch"


def upload_batch(
    server: Server, files: list[tuple[str, bytes]], key: str | None = None, **fields: Any
) -> Any:
    return requests.post(
        f"{server.url}{STREAM_BATCH}",
        headers={"Authorization": f"Bearer {key or server.key}"},
        files=[("files", file) for file in files],
        data=fields,
        timeout=120,
    )


def pictures(start: int, count: int, side: int = 32) -> list[tuple[str, bytes]]:
    return [(f"{number}.png", noise(start + number, side)) for number in range(count)]


def status(server: Server, id: str) -> dict[str, Any]:
    return dict(get(server, f"/uploads/sessions/{id}/status").json())


def assert_adds_up(session: dict[str, Any]) -> None:
    done = session["completed_files"] + session["failed_files"] + session["skipped_files"]
    assert done + session["pending_files"] == session["total_files"]
    assert session["progress_percentage"] == round(100 * done / session["total_files"], 2)


def ended(server: Server, id: str) -> dict[str, Any]:
    def final() -> dict[str, Any] | None:
        session = status(server, id)
        assert_adds_up(session)
        return None if session["status"] in ("pending", "uploading", "processing") else session

    return until(final, every=0.05)


def test_a_batch_with_a_bad_file(server: Server, photos: dict[str, Path]) -> None:
    files = [
        ("coffee.png", photos["coffee"].read_bytes()),
        ("note.jpg", b"no picture at all"),
        ("rocket.jpg", photos["rocket"].read_bytes()),
    ]
    answer = upload_batch(server, files)
    assert answer.status_code == 200
    batch = answer.json()
    assert (batch["total_files"], batch["accepted_files"], batch["rejected_files"]) == (3, 2, 1)
    assert batch["status"] == "partial"
    assert [each["status"] for each in batch["immediate_results"]] == [
        "processing",
        "failed",
        "processing",
    ]
    (rejection,) = batch["rejections"]
    assert (rejection["filename"], rejection["index"]) == ("note.jpg", 1)
    assert "text" in rejection["reason"]
    session = ended(server, batch["session_id"])
    assert session["status"] == "completed"
    assert (session["completed_files"], session["failed_files"]) == (2, 1)
    assert session["recent_errors"][0]["filename"] == "note.jpg"
    assert len(session["recent_completions"]) == 2
    results = requests.get(
        f"{server.url}{session['results_url']}", headers=server.headers, timeout=60
    ).json()
    assert [each["filename"] for each in results["results"]] == [name for name, _ in files]
    assert "cup" in results["results"][0]["description"].lower()
    assert results["summary"] == {"total_files": 3, "completed": 2, "failed": 1, "skipped": 0}
    good = get(
        server, f"/uploads/sessions/{batch['session_id']}/results?include_failed=false&limit=1"
    ).json()
    assert (good["total_count"], good["has_more"], len(good["results"])) == (2, True, 1)


def test_a_request_with_one_file_is_normal(server: Server) -> None:
    batch = upload_batch(server, pictures(1000, 1), auto_describe="false").json()
    assert (batch["accepted_files"], batch["status"]) == (1, "completed")
    assert status(server, batch["session_id"])["status"] == "completed"


def test_all_refused(server: Server) -> None:
    batch = upload_batch(server, [("a.jpg", b"x" * 100), ("b.jpg", b"")]).json()
    assert (batch["status"], batch["accepted_files"]) == ("rejected", 0)
    assert status(server, batch["session_id"])["status"] == "failed"


def test_no_files_at_all(server: Server) -> None:
    answer = requests.post(
        f"{server.url}{STREAM_BATCH}",
        headers=server.headers,
        files={"other": ("a.png", noise(1))},
        timeout=60,
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "files"


@pytest.mark.parametrize(("tier", "limit"), [("free", 10), ("starter", 20), ("enterprise", 50)])
def test_tiers_bound_the_files_of_a_request(server: Server, tier: str, limit: int) -> None:
    key = server.new_key(f"batch-{tier}", "--tier", tier)
    answer = upload_batch(server, pictures(2000, limit + 1), key, auto_describe="false")
    assert answer.status_code == 413
    assert str(limit) in answer.json()["error"]["message"]
    fine = upload_batch(server, pictures(2000, limit), key, auto_describe="false").json()
    assert fine["accepted_files"] == limit
    assert (fine["immediate_results"] is None) is (limit > 5)


def test_duplicates_are_skipped_and_their_results_known(
    server: Server, photos: dict[str, Path]
) -> None:
    data = photos["chelsea"].read_bytes()
    key = server.new_key("duplicates")
    first = upload_batch(server, [("a.png", data)], key).json()
    mine = {"Authorization": f"Bearer {key}"}
    url = f"/uploads/sessions/{first['session_id']}/status"
    until(lambda: get(server, url, headers=mine).json()["status"] != "processing", every=0.1)
    batch = upload_batch(
        server, [("b.png", data), ("c.png", noise(3000)), ("d.png", noise(3000))], key,
        skip_duplicates="true", auto_describe="false",
    ).json()  # fmt: skip
    states = [each["status"] for each in batch["immediate_results"]]
    assert states == ["skipped", "completed", "skipped"]
    assert (
        batch["immediate_results"][0]["skipped_existing_image_id"]
        == first["immediate_results"][0]["image_id"]
    )
    results = get(server, f"/uploads/sessions/{batch['session_id']}/results", headers=mine).json()[
        "results"
    ]
    assert "cat" in results[0]["description"].lower()


def test_hashes_tell_what_is_known(server: Server) -> None:
    import hashlib

    data = noise(3100)
    id = upload(server, data, auto_describe="false").json()["image_id"]
    known, unknown = hashlib.sha256(data).hexdigest(), "ab" * 32
    answer = requests.post(
        f"{server.url}{API}/uploads/check-duplicates",
        headers=server.headers,
        json={"hashes": [known.upper(), unknown]},
        timeout=60,
    ).json()
    assert answer == {"duplicates": [known], "unique": [unknown], "existing": {known: id}}
    for bad in ([], ["x" * 64], ["ab" * 32] * 501, ["ab"]):
        answer = requests.post(
            f"{server.url}{API}/uploads/check-duplicates",
            headers=server.headers,
            json={"hashes": bad},
            timeout=60,
        )
        assert answer.status_code == 422


def test_a_session_grows_by_request(server: Server) -> None:
    id = upload_batch(server, pictures(4000, 30), auto_describe="false").json()["session_id"]
    more = upload_batch(server, pictures(4100, 20), auto_describe="false", session_id=id).json()
    assert more["session_id"] == id
    session = status(server, id)
    assert (session["total_files"], session["completed_files"]) == (50, 50)
    page = get(server, f"/uploads/sessions/{id}/results?offset=25&limit=10").json()
    names = [each["filename"] for each in page["results"]]
    assert names == [f"{number}.png" for number in (*range(25, 30), *range(5))]
    answer = upload_batch(server, pictures(1, 1), session_id=str(uuid.uuid4()))
    assert answer.status_code == 404


def test_cancel_leaves_a_consistent_session(server: Server, photos: dict[str, Path]) -> None:
    names = list(photos)
    files = [  # bytes of their own: what is known is answered at once
        (f"{n}.png", photos[names[n % len(names)]].read_bytes() + os.urandom(8)) for n in range(20)
    ]
    id = upload_batch(server, files).json()["session_id"]
    until(lambda: status(server, id)["completed_files"], fleeting=True)
    cancelled = requests.post(
        f"{server.url}{API}/uploads/sessions/{id}/cancel", headers=server.headers, timeout=60
    )
    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "cancelled"

    def finished() -> dict[str, Any] | None:
        session = status(server, id)
        assert_adds_up(session)
        return None if session["pending_files"] else session

    session = until(finished)  # what was being looked at finishes
    assert session["status"] == "cancelled"
    assert session["skipped_files"] > 0
    again = requests.post(
        f"{server.url}{API}/uploads/sessions/{id}/cancel", headers=server.headers, timeout=60
    )
    assert again.status_code == 400
    results = get(server, f"/uploads/sessions/{id}/results").json()["results"]
    for each in results:
        assert (each["description"] is not None) == (each["status"] == "completed")


def test_sessions_are_listed(server: Server) -> None:
    key = server.new_key("lists")
    mine = {"Authorization": f"Bearer {key}"}
    ids = [
        upload_batch(server, pictures(n, 1), key, auto_describe="false").json()["session_id"]
        for n in range(5000, 5003)
    ]
    listed = get(server, "/uploads/sessions?limit=2", headers=mine).json()
    assert [each["session_id"] for each in listed["sessions"]] == ids[:0:-1]
    assert (listed["total_count"], listed["has_more"]) == (3, True)
    assert get(server, "/uploads/sessions?status=failed", headers=mine).json()["total_count"] == 0
    assert (
        get(server, "/uploads/sessions?upload_method=presigned", headers=mine).json()["sessions"]
        == []
    )
    assert get(server, "/uploads/sessions?status=nonsense", headers=mine).status_code == 422
    for id in ids:
        for path in ("/status", "/results", "/events"):
            assert get(server, f"/uploads/sessions/{id}{path}").status_code == 404


def test_progress_comes_by_itself(server: Server, photos: dict[str, Path]) -> None:
    # What is behind a PNG's end makes them pictures that nobody has asked about.
    names = ("coffee", "astronaut", "page", "chelsea")
    files = [(name, photos[name].read_bytes() + os.urandom(8)) for name in names]
    id = upload_batch(server, files).json()["session_id"]
    events: list[tuple[str, dict[str, Any]]] = []
    with get(server, f"/uploads/sessions/{id}/events", stream=True) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines(decode_unicode=True):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((name, json.loads(line.removeprefix("data: "))))
    assert [name for name, _ in events[:-1]] == ["progress"] * (len(events) - 1)
    assert events[-1][0] == "done"
    counts = [event["completed_files"] for _, event in events]
    assert counts == sorted(counts)
    assert counts[-1] == 4
    assert len(events) >= 3
    for _, event in events:
        assert_adds_up(event)


def test_many_requests_at_once_count_exactly(server: Server) -> None:
    key = server.new_key("parallel")
    ids: list[str] = []

    def run(start: int) -> None:
        for number in range(5):
            files = pictures(start + 10 * number, 4)
            ids.append(upload_batch(server, files, key, auto_describe="false").json()["session_id"])

    threads = [threading.Thread(target=run, args=(10_000 * n,)) for n in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mine = {"Authorization": f"Bearer {key}"}
    assert get(server, "/user-files", headers=mine).json()["total_count"] == 120
    assert get(server, "/tenant/limits", headers=mine).json()["usage"]["monthly_uploads"] == 120
    assert len(set(ids)) == 30


def test_a_month_has_its_limit(server: Server) -> None:
    key = server.new_key("monthly", "--tier", "free")
    mine = {"Authorization": f"Bearer {key}"}
    files = pictures(90_000, 8)
    assert upload_batch(server, files, key).status_code == 200
    refused = upload_batch(server, pictures(91_000, 8), key)
    assert refused.status_code == 403, "15 descriptions a month"
    assert refused.json()["error"]["code"] == "USAGE_LIMIT_EXCEEDED"
    limits = get(server, "/tenant/limits", headers=mine).json()
    assert limits["usage"]["monthly_uploads"] == 8
    assert limits["subscription_tier"] == "free"
    quota = get(server, "/uploads/quota-check?file_count=993", headers=mine).json()
    assert (quota["can_proceed"], quota["available"], quota["max_batch_size"]) == (False, 992, 10)
    assert get(server, "/uploads/quota-check", headers=mine).status_code == 422


def test_use_is_told(server: Server, photos: dict[str, Path]) -> None:
    key = server.new_key("use", "--tier", "starter")
    mine = {"Authorization": f"Bearer {key}"}
    id = upload_batch(
        server, [("a.png", photos["coffee"].read_bytes()), ("b.png", photos["page"].read_bytes())],
        key,
    ).json()["session_id"]  # fmt: skip
    other = server.new_key("use", "--tier", "starter")  # this one's requests of a minute are few
    waiting = {"Authorization": f"Bearer {other}"}
    url = f"/uploads/sessions/{id}/status"
    until(lambda: not get(server, url, headers=waiting).json()["pending_files"], every=2.5)
    summary = get(server, "/usage/summary?period=day", headers=mine).json()
    assert summary["usage"]["describe_count"] == summary["usage"]["successful_requests"] == 2
    assert summary["limits"] == {
        "monthly_limit": 300,
        "used_this_month": 2,
        "remaining": 298,
        "percentage_used": 0.67,
    }
    assert summary["performance"]["avg_response_time_ms"] > 0
    breakdown = get(server, "/usage/breakdown", headers=mine).json()
    assert breakdown["total_credits_used"] == sum(breakdown["by_verification_level"].values())
    check = requests.post(
        f"{server.url}{API}/usage/check",
        headers=mine,
        json={"item_count": 299, "verification_level": "critical"},
        timeout=60,
    ).json()
    assert (check["can_proceed"], check["required_credits"]) == (False, 897)
    assert get(server, "/usage/summary?start_date=2030-01-01", headers=mine).status_code == 422


def test_nothing_is_stuck(server: Server) -> None:
    assert get(server, "/uploads/stuck-uploads?stuck_minutes=1&limit=1").json()["images"] == []
    assert get(server, "/uploads/stuck-uploads?limit=501").status_code == 422
