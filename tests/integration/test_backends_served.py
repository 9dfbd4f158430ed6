"""Models behind the OpenAI protocol, served through the whole system."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import Server, reachable, start_server
from tests.integration.test_main_job import API
from tests.upstream.scenes import holds
from tests.upstream.server import Rates, SceneServer

from ocelli.domain.sentences import sentences

NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture(scope="module")
def upstream() -> Iterator[SceneServer]:
    with SceneServer(Rates(planted=0.4)) as server:
        yield server


@pytest.fixture(scope="module")
def served(upstream: SceneServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three models and one that is down."""
    backends: dict[str, Any] = {
        name: {"provider": "vllm", "base_url": upstream.url, "model": name}
        for name in ("describer", "checker", "judge")
    }
    backends["down"] = {"provider": "vllm", "base_url": NOBODY, "model": "x", "retries": 0}
    running = start_server(
        reachable(tmp_path_factory.mktemp("backends")) / "data",
        "--workers",
        "1",
        OCELLI_BACKENDS=json.dumps(backends),
    )
    yield running
    running.stop()
    assert running.process.stdout is not None
    running.process.stdout.close()


def ask(served: Server, scene: bytes, **question: Any) -> requests.Response:
    return requests.post(
        f"{served.url}{API}/describe",
        headers={"Authorization": f"Bearer {served.key}"},
        json={"image_base64": base64.b64encode(scene).decode(), **question},
        timeout=60,
    )


@pytest.mark.parametrize(("level", "looks"), [("quick", 1), ("standard", 2), ("critical", 3)])
def test_every_level_calls_as_often_as_it_charges(
    served: Server, upstream: SceneServer, level: str, looks: int
) -> None:
    upstream.reset()
    body = ask(served, upstream.picture(1), verification_level=level).json()
    assert (body["looks"], len(upstream.calls)) == (looks, looks), body
    assert body["providers_used"][0] == "describer"
    assert [c.model for c in upstream.calls] == ["describer", "checker", "judge"][:looks]


def test_what_is_planted_goes_and_the_record_keeps_it(
    served: Server, upstream: SceneServer
) -> None:
    upstream.reset()
    left = planted = 0
    for number in range(2, 8):
        body = ask(served, upstream.picture(number), verification_level="critical").json()
        it = upstream.scene(number)
        said = {claim["text"] for claim in body["claims"]}
        wrong = [each.claim.text for each in upstream.planted if each.scene == number]
        assert said >= set(wrong)
        planted += len(wrong)
        left += [holds(it, sentence) for sentence in sentences(body["description"])].count(False)
    assert planted > 15
    assert left < planted / 3


def test_a_backend_that_is_down_is_named_and_the_others_answer(
    served: Server, upstream: SceneServer
) -> None:
    question = {"verification_level": "quick", "providers": ["down", "judge"]}
    body = ask(served, upstream.picture(9), **question).json()
    assert body["description"]
    assert body["providers_used"][0] == "judge"
    (error,) = body["errors"]
    assert (error["source"], error["retryable"]) == ("down", True)


def test_if_nobody_answers_that_is_said_in_time(served: Server, upstream: SceneServer) -> None:
    answer = ask(served, upstream.picture(10), verification_level="quick", providers=["down"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "IMAGE_PROCESSING_ERROR")


def test_who_can_be_asked_is_listed(served: Server) -> None:
    answer = requests.get(
        f"{served.url}{API}/verify/providers",
        headers={"Authorization": f"Bearer {served.key}"},
        timeout=60,
    ).json()
    names = [each["name"] for each in answer["providers"]]
    assert names == ["describer", "checker", "judge", "down", "ocelli-local"]
    assert [each["looks"] for each in answer["verification_levels"]] == [1, 2, 2, 3]


def test_a_photo_without_a_model_of_its_own_kind(served: Server, photos: dict[str, Path]) -> None:
    """The local models answer by name, whatever the default is."""
    body = ask(
        served, photos["chelsea"].read_bytes(), providers=["ocelli-local"],
        verification_level="quick",
    ).json()  # fmt: skip
    assert "cat" in body["description"].lower()
    assert body["providers_used"] == ["ocelli-local"]
