"""Dropping and jobs over HTTP: what is sent again counts once, and jobs say what became of it."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.console_client import ConsoleClient
from tests.integration.test_main_job import API, noise
from tests.waiting import until


class Dropper:
    """A browser that drops files."""

    def __init__(self, server: Server, key: str) -> None:
        self.client = ConsoleClient(server, key)
        self.csrf = self.client.csrf

    def send(self, drop: str, files: dict[str, bytes], **fields: str) -> requests.Response:
        """``files`` by their keys, which are their names, too."""
        return self.client.http.post(
            f"{self.client.root}/drop/files",
            data={"drop": drop, "keys": json.dumps(list(files)), **fields},
            files=[("files", (f"{key}.png", content)) for key, content in files.items()],
            headers={"X-CSRF-Token": self.csrf},
            timeout=60,
        )

    def progress(self, session: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/drop/sessions/{session}").json()
        return found

    def ended(self, session: str) -> dict[str, Any]:
        return until(lambda: ((found := self.progress(session))["is_over"] and found) or None)


@pytest.fixture(scope="module")
def dropper(server: Server) -> Dropper:
    return Dropper(server, server.new_key("console-jobs"))


def broken(seed: int) -> bytes:
    """A picture whose head is whole and whose rest is not."""
    return noise(seed)[:2_000] + b"\0" * 500


def test_a_file_that_is_sent_again_counts_once(server: Server) -> None:
    drop, key = uuid.uuid4().hex, server.new_key("console-jobs-counted")
    dropper = Dropper(server, key)
    first = dropper.send(drop, {"1": noise(31_001), "2": noise(31_002)}).json()
    assert [each["position"] for each in first["files"]] == [0, 1]
    second = dropper.send(drop, {"2": noise(31_002), "3": noise(31_003)}).json()
    assert second["session"] == first["session"]
    assert [each["position"] for each in second["files"]] == [1, 2]
    found = dropper.ended(first["session"])
    assert found["total"] == 3
    assert found["states"] == "ccc"
    headers = {"Authorization": f"Bearer {key}"}
    usage = requests.get(f"{server.url}{API}/tenant/limits", headers=headers, timeout=60).json()
    assert usage["usage"]["monthly_uploads"] == 3


def test_what_is_refused_may_come_again(dropper: Dropper) -> None:
    drop = uuid.uuid4().hex
    refused = dropper.send(drop, {"1": b"no picture", "2": noise(31_010)}).json()
    assert "position" not in refused["files"][0]
    assert refused["files"][0]["reason"]
    assert refused["files"][1]["position"] == 0
    good = dropper.send(drop, {"1": noise(31_011)}).json()
    assert good["files"][0]["position"] == 1
    assert dropper.ended(good["session"])["total"] == 2


def test_what_is_here_already_is_left_out(dropper: Dropper) -> None:
    drop = uuid.uuid4().hex
    picture = noise(31_020)
    sent = dropper.send(drop, {"1": picture}).json()
    dropper.send(drop, {"2": picture}, skip_duplicates="yes")
    assert dropper.ended(sent["session"])["states"] == "cs"
    dropper.send(drop, {"2": picture}, skip_duplicates="yes")
    assert dropper.ended(sent["session"])["states"] == "cs"


@pytest.mark.parametrize(
    "fields",
    [
        {"keys": "no json"},
        {"keys": '["1", "1"]'},
        {"keys": '["1\\u0000"]'},
        {"drop": ""},
        {"level": "sideways"},
        {"role": "pirate"},
        {"language": "Martian"},
        {"backends": "local,nobody"},
    ],
)
def test_forms_that_do_not_fit_store_nothing(dropper: Dropper, fields: dict[str, str]) -> None:
    drop = fields.get("drop", uuid.uuid4().hex)
    others = {name: value for name, value in fields.items() if name != "drop"}
    answer = dropper.send(drop, {"1": noise(31_030)}, **others)
    assert answer.status_code == 422, answer.text
    assert "<h1>" in answer.text


def test_jobs_say_what_failed_and_repeat_it(server: Server, dropper: Dropper) -> None:
    sent = dropper.send(uuid.uuid4().hex, {"good": noise(31_040), "bad": broken(31_041)}).json()
    session = sent["session"]
    assert dropper.ended(session)["counts"]["failed"] == 1
    listed = dropper.client.get("/jobs").text
    assert f"/console/jobs/sessions/{session}" in listed
    page = dropper.client.get(f"/jobs/sessions/{session}").text
    assert "2 of 2 done" in page
    assert "<bdi>bad.png</bdi>" in page
    assert "Describe 1 failed again" in page
    done = dropper.client.post(f"/jobs/sessions/{session}/repeat", allow_redirects=True)
    assert "1 picture is described again, as a new job." in done.text
    batch = re.search(r"/console/jobs/batches/([0-9a-f-]+)", dropper.client.get("/jobs").text)
    assert batch is not None
    until(lambda: "1 of 1 done" in dropper.client.get(f"/jobs/batches/{batch[1]}").text)
    again = dropper.client.get(f"/jobs/sessions/{session}").text
    assert "failed again" not in again  # what is repeated is the batch's now
    assert "<bdi>bad.png</bdi>" in dropper.client.get(f"/jobs/batches/{batch[1]}").text


def test_cancelling_what_is_over_says_so(dropper: Dropper) -> None:
    sent = dropper.send(uuid.uuid4().hex, {"1": noise(31_050)}).json()
    dropper.ended(sent["session"])
    answer = dropper.client.post(f"/jobs/sessions/{sent['session']}/cancel")
    assert answer.status_code == 400
    assert "has ended already" in answer.text


def test_jobs_of_others_are_nowhere(server: Server, dropper: Dropper) -> None:
    sent = dropper.send(uuid.uuid4().hex, {"1": noise(31_060)}).json()
    session = sent["session"]
    stranger = ConsoleClient(server, server.new_key("console-jobs-stranger"))
    for path in (f"/jobs/sessions/{session}", f"/drop/sessions/{session}"):
        assert stranger.get(path).status_code == 404
        assert dropper.client.get(path).status_code == 200
    for path in (
        *(f"/jobs/sessions/{session}/{what}" for what in ("cancel", "repeat")),
        *(f"/drop/sessions/{session}/{what}" for what in ("cancel", "again")),
    ):
        assert stranger.post(path).status_code == 404
    assert session not in stranger.get("/jobs").text
    for kind in ("batches", "requests", "nothing"):
        assert dropper.client.get(f"/jobs/{kind}/{session}").status_code == 404


def test_pages_of_jobs_follow_one_another(server: Server) -> None:
    dropper = Dropper(server, server.new_key("console-jobs-pages", "--tier", "enterprise"))
    sessions = [
        dropper.send(uuid.uuid4().hex, {"1": noise(31_100 + n, 8)}).json()["session"]
        for n in range(27)
    ]
    found, path = [], "/jobs"
    while path:
        page = dropper.client.get(path).text
        found += re.findall(r'id="job-([0-9a-f-]+)"', page)
        following = re.search(r'rel="next" href="/console([^"]+)"', page)
        path = following[1] if following else ""
    assert found == sessions[::-1]


def test_without_jobs_the_page_says_what_to_do(server: Server) -> None:
    page = ConsoleClient(server, server.new_key("console-jobs-none")).get("/jobs").text
    assert "No jobs yet" in page
    assert "ocelli upload" in page


def test_tags_are_chosen_from_the_usual_vocabulary_or_another(server: Server) -> None:
    tenant = f"console-vocabularies-{uuid.uuid4()}"
    headers = {"Authorization": f"Bearer {server.new_key(tenant)}"}
    api = f"{server.url}{API}"
    for name in ("usual", "other"):
        body = {"name": name, "content": f"{name}/grey\n"}
        requests.post(f"{api}/vocabularies", headers=headers, json=body, timeout=60)
    usual = {"vocabulary": "usual"}
    requests.put(f"{api}/tenant/vocabulary", headers=headers, json=usual, timeout=60)

    def chosen_from(image: str) -> list[str | None]:
        found = requests.get(f"{api}/user-files/{image}", headers=headers, timeout=60).json()
        return [(each["tagging"] or {}).get("vocabulary") for each in found["full_descriptions"]]

    dropper = Dropper(server, server.new_key(tenant))
    for seed, fields, name in ((31_401, {}, "usual"), (31_402, {"vocabulary": "other"}, "other")):
        sent = dropper.send(uuid.uuid4().hex, {"1": noise(seed)}, level="quick", **fields).json()
        dropper.ended(sent["session"])
        newest = requests.get(f"{api}/user-files?limit=1", headers=headers, timeout=60).json()
        image = newest["files"][0]["id"]
        assert chosen_from(image) == [name]
    again = dropper.client.post(f"/pictures/{image}/describe", {"level": "standard"})
    assert again.ok
    until(lambda: len(chosen_from(image)) == 2)
    assert sorted(map(str, chosen_from(image))) == ["other", "usual"]
