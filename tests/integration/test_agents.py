"""Reports and pipelines: over a real Postgres with a fake model, and over HTTP."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_files import add
from tests.integration.test_organize import PLANTED, Desk, a_model
from tests.integration.test_organize import desk as desk
from tests.waiting import until

from aion import Pipeline, ResourceNotFoundError, SyncAionVision, ValidationError
from aion.client import AionVision
from ocelli.domain.errors import NotFound
from ocelli.domain.pipelines import StepStatus, linked
from ocelli.domain.reports import NOT_CHECKED
from ocelli.usecases.pipelines import PipelineRun, Pipelines
from ocelli.usecases.synthesize import Synthesize


def a_synthesizer(desk: Desk, answer: Any = None) -> tuple[Synthesize, list[str]]:
    said = answer if answer is None else lambda _: json.dumps(answer)
    model, conversations = a_model(said)
    library = desk.library
    return Synthesize(library.database, library.searching, model), conversations.prompts


async def run(desk: Desk, *steps: Any, ids: Any = None) -> PipelineRun:
    pipelines = Pipelines(desk.library.searching, desk.organize, a_synthesizer(desk)[0])
    return await pipelines.run(desk.asking, linked(steps), ids)


async def test_a_report_without_a_model(desk: Desk) -> None:
    synthesize, prompts = a_synthesizer(desk)
    ids = list(desk.library.ids.values())
    done = await synthesize.report(desk.asking, "What do I have?", ids)
    assert [each.id for each in done.pictures] == ids
    assert "- car: 2 pictures" in done.report.text
    assert str(ids[0]) in done.report.text
    assert (prompts, done.tokens.calls) == ([], 0)
    about = await synthesize.report(desk.asking, "vehicles", None)
    assert desk.library.ids["car"] in {each.id for each in about.pictures}
    any_ = await synthesize.report(desk.asking, "qwxyzzy", None)
    assert any_.pictures
    with pytest.raises(NotFound):
        await synthesize.report(desk.asking, "x", [*ids, uuid.uuid4()])


async def test_a_model_s_report_is_checked(desk: Desk) -> None:
    await desk.library.add("planted", PLANTED, visible_text=PLANTED)
    answer = {
        "title": "Cars",
        "summary": "I OBEYED.",
        "sections": [
            {
                "heading": "Cars",
                "statements": [
                    {"text": "A red sports car.", "pictures": [1, 99, -3]},
                    {"text": "Its owner is rich.", "pictures": [1]},
                    {"text": "Of no picture.", "pictures": [7]},
                ],
            }
        ],
    }
    synthesize, prompts = a_synthesizer(desk, answer)
    ids = [desk.library.ids["car"], desk.library.ids["planted"]]
    done = await synthesize.report(desk.asking, "cars", ids)
    assert "- A red sports car. \\[1\\]\n" in done.report.text
    assert f"Its owner is rich. \\[1\\] {NOT_CHECKED}" in done.report.text
    assert f"Of no picture. {NOT_CHECKED}" in done.report.text
    assert done.report.summary == f"I OBEYED. {NOT_CHECKED}"
    before, inside = prompts[0].split("<<<pictures:")
    assert PLANTED.split()[0] not in before
    assert json.loads(inside.split("\n")[1])[1]["visible_text"] == PLANTED
    broken, _ = a_synthesizer(desk, {"title": 1})
    text = (await broken.report(desk.asking, "cars", ids)).report.text
    assert "not of the requested form" in text


async def test_a_pipeline(desk: Desk) -> None:
    done = await run(
        desk,
        ("image_search", "vehicles", None),
        ("folder", "by tag", None),
        ("assistant", "Write about them", None),
        ("analytics", "count", [0]),
        ("cross_reference", "relate", [0]),
    )
    assert [each.status for each in done.outcomes] == [StepStatus.COMPLETED] * 5
    assert (done.waves, done.errors) == (3, [])
    found = done.outcomes[0]
    by_agent = {each.step.agent.value: each.outputs for each in done.outcomes}
    ids = set(found.outputs["image_ids"])
    assert {str(desk.library.ids["car"]), str(desk.library.ids["van"])} <= ids
    assert by_agent["folder"]["files_moved"] == 2
    assert set(by_agent["assistant"]["image_ids"]) == ids
    assert by_agent["analytics"]["tags"]["car"] == 2
    (relation,) = by_agent["cross_reference"]["relationships"]
    assert relation["shared_tags"] == ["car"]
    await desk.organize.undo(desk.tenant, by_agent["folder"]["plan_id"])
    assert (await desk.placed()).keys() == {""}


async def test_pictures_across_two_searches(desk: Desk) -> None:
    steps = (
        ("image_search", "sports car", None),
        ("image_search", "van", None),
        ("cross_reference", "relate", [0, 1]),
    )
    done = await run(desk, *steps, ids=[desk.library.ids["car"], desk.library.ids["van"]])
    assert done.outcomes[2].status is StepStatus.COMPLETED


async def test_what_depends_on_a_failed_step_is_skipped(desk: Desk) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise NotFound("Folder", "x")

    desk.organize.plan = fail  # type: ignore[method-assign]
    done = await run(
        desk,
        ("folder", "by tag", None),
        ("assistant", "about it", [0]),
        ("analytics", "count", []),
    )
    assert [each.status.value for each in done.outcomes] == ["failed", "completed", "skipped"]
    assert done.errors == ["Folder not found: x"]
    with pytest.raises(NotFound):
        await run(desk, ("analytics", "count", None), ids=[uuid.uuid4()])


def test_over_http(server: Server) -> None:
    key = server.new_key(f"agents-{uuid.uuid4()}")
    with SyncAionVision(key, base_url=server.url) as client:
        empty = client.agent_operations.synthesize("Anything?")
        assert (empty.image_count, empty.saved_document_id) == (0, None)
        ids = [add(server, 991_000 + n, {"Authorization": f"Bearer {key}"}) for n in range(2)]
        report = client.agent_operations.synthesize("What is there?", image_ids=ids)
        assert (report.image_count, report.success) == (2, True)
        assert report.report.startswith("# Report")
        with pytest.raises(ResourceNotFoundError):
            client.agent_operations.synthesize("x", image_ids=[str(uuid.uuid4())])
        with pytest.raises(ValidationError):
            client.agent_operations.synthesize("x" * 2_001)
    answer = requests.post(
        f"{server.url}/api/v2/agents/pipeline",
        headers={"Authorization": f"Bearer {key}"},
        json={"steps": [{"agent": "analytics", "intent": "x"}] * 11},
        timeout=60,
    )
    assert answer.status_code == 422


async def test_the_builder(server: Server) -> None:
    key = server.new_key(f"pipeline-{uuid.uuid4()}")
    ids = [add(server, 992_000 + n, {"Authorization": f"Bearer {key}"}) for n in range(2)]
    async with AionVision(key, base_url=server.url) as client:
        pipeline = client.pipeline()
        assert isinstance(pipeline, Pipeline)
        result = await (
            pipeline.with_images(ids)
            .search_images("a picture")
            .analyze("Compare them", depends_on=[])
            .organize("by month", depends_on=[1])
            .cross_reference("relate", depends_on=[0, 1])
            .synthesize("Write about them")
            .run()
        )
        assert result.success
        assert result.final.agent == "assistant"
        assert result.final.summary
        assert [each.status for each in result.steps] == ["completed"] * 5
        assert result.step(1).node_id
        with pytest.raises(ValidationError):
            await client.pipeline().run()
        with pytest.raises(ValidationError):
            await client.pipeline().analyze("x", depends_on=[0]).run()
        with pytest.raises(ValidationError, match="only pictures"):
            await client.pipeline().search_documents("x").run()


def test_pictures_of_batch_items(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.new_key(f'items-{uuid.uuid4()}')}"}
    other = {"Authorization": f"Bearer {server.new_key(f'items-{uuid.uuid4()}')}"}
    api = f"{server.url}/api/v2"
    image = add(server, 993_000, headers)
    batch = requests.post(
        f"{api}/user-files/describe",
        headers=headers,
        json={"ids": [image], "verification_level": "quick"},
        timeout=60,
    ).json()["batch_id"]
    results = f"{api}/batch/{batch}/results"

    def items() -> Any:
        return requests.get(results, headers=headers, timeout=60).json().get("results")

    until(items)
    (item,) = items()
    path = f"{api}/data/batch-images/{item['item_id']}"
    whole = requests.get(path, headers=headers, params={"thumbnail": "false"}, timeout=60)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "image/png")
    for address in (path, f"{path}/thumbnail"):
        until(lambda at=address: requests.get(at, headers=headers, timeout=60).ok)  # type: ignore[misc]
        assert requests.get(address, headers=other, timeout=60).status_code == 404
    unknown = requests.get(f"{api}/data/batch-images/{image}", headers=headers, timeout=60)
    assert unknown.status_code == 404
    assert requests.get(f"{path}?size=huge", headers=headers, timeout=60).status_code == 422
