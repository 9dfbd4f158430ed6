"""OpenAI's Responses: what is answered, kept and refused."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests

from ocelli.domain.accounts import Tier
from ocelli.domain.chat_errors import InvalidValue, ResponseNotFound
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases import responses as usecase
from ocelli.usecases.responses import Responses
from tests.chat.conftest import data_url
from tests.chat.upstream import WORDS, Upstream
from tests.conftest import Server
from tests.waiting import until

PATH = "/v1/responses"
LOCAL = "ocelli-local"
FUNCTION = {
    "type": "function",
    "name": "describe",
    "parameters": {"type": "object", "properties": {"description": {"type": "string"}}},
    "strict": False,
}


@pytest.fixture(scope="module")
def question(photos: dict[str, Path]) -> Any:
    picture = data_url(photos["coffee"].read_bytes(), "image/jpeg")
    return [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": picture, "detail": "auto"},
            ],
        }
    ]


def ask(server: Server, input: Any, model: str = LOCAL, **more: Any) -> requests.Response:
    body = {"model": model, "input": input, **more}
    body = {name: value for name, value in body.items() if value is not ...}
    return requests.post(
        server.url + PATH, headers=server.headers, data=json.dumps(body), timeout=60
    )


def done(answer: requests.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(answer: requests.Response) -> list[dict[str, Any]]:
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    found = []
    for block in answer.text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    assert [each["sequence_number"] for each in found] == list(range(len(found)))
    return found


def refused(answer: requests.Response, status: int, code: str | None, param: str | None) -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), answer.text
    assert "response_format" not in answer.text
    return str(error["message"])


def get(server: Server, path: str, **more: Any) -> requests.Response:
    return requests.get(f"{server.url}{PATH}/{path}", headers=server.headers, timeout=60, **more)


def test_an_answer_is_kept(chat: Server, question: Any) -> None:
    first = done(ask(chat, question, instructions="Be brief.", metadata={"a": "b"}))
    assert first["object"] == "response"
    assert first["status"] == "completed"
    assert first["store"] is True
    assert first["metadata"] == {"a": "b"}
    (message,) = first["output"]
    assert "cup" in message["content"][0]["text"]
    assert message["content"][0]["annotations"] == []
    assert get(chat, first["id"]).json() == first
    second = done(ask(chat, "Which colours are there?", previous_response_id=first["id"]))
    assert "brown" in second["output"][0]["content"][0]["text"]
    referred = [*question, {"type": "item_reference", "id": message["id"]}, *question]
    third = done(ask(chat, referred))
    items = get(chat, f"{third['id']}/input_items?order=asc&limit=2").json()
    assert [each["role"] for each in items["data"]] == ["user", "assistant"]
    assert items["has_more"] is True
    rest = get(chat, f"{third['id']}/input_items?order=asc&after={items['last_id']}").json()
    assert len(rest["data"]) == 1
    gone = requests.delete(
        f"{chat.url}{PATH}/{first['id']}", headers=chat.headers, timeout=60
    ).json()
    assert gone == {"id": first["id"], "object": "response", "deleted": True}
    refused(get(chat, first["id"]), 404, "response_not_found", None)
    broken = ask(chat, "And now?", previous_response_id=second["id"])
    assert first["id"] in refused(broken, 404, "response_not_found", "previous_response_id")


def test_one_that_is_not_kept(chat: Server) -> None:
    answer = done(ask(chat, "Hello", store=False))
    assert answer["store"] is False
    refused(get(chat, answer["id"]), 404, "response_not_found", None)
    id = answer["output"][0]["id"]
    reference = [{"type": "item_reference", "id": id}]
    assert id in refused(ask(chat, reference), 404, "response_not_found", "input[0].id")


def test_the_events(chat: Server, question: Any) -> None:
    told = events(ask(chat, question, stream=True))
    kinds = [each["type"].removeprefix("response.") for each in told]
    middle = ["output_text.delta"] * kinds.count("output_text.delta")
    assert kinds == [
        *("created", "in_progress", "output_item.added", "content_part.added", *middle),
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    whole = told[-1]["response"]
    text = "".join(each["delta"] for each in told if each["type"].endswith("text.delta"))
    assert text == whole["output"][0]["content"][0]["text"]
    assert {each["item_id"] for each in told if "item_id" in each} == {whole["output"][0]["id"]}
    assert get(chat, whole["id"]).json() == whole
    cut = events(ask(chat, question, stream=True, max_output_tokens=2))[-1]
    assert cut["type"] == "response.incomplete"
    assert cut["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "name": "describe"}], ids=["any", "named"]
)
@pytest.mark.parametrize("stream", [True, False])
def test_forced_functions(chat: Server, question: Any, choice: Any, stream: bool) -> None:
    form = {"type": "json_schema", "name": "d", "schema": FUNCTION["parameters"], "strict": True}
    more = {"tools": [FUNCTION], "tool_choice": choice, "text": {"format": form}}
    answer = ask(chat, question, stream=stream, **more)
    if stream:
        told = events(answer)
        assert [each["type"] for each in told[2:]] == [
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
        body = told[-1]["response"]
    else:
        body = done(answer)
    (call,) = body["output"]
    assert (call["type"], call["name"]) == ("function_call", "describe")
    assert "cup" in json.loads(call["arguments"])["description"]


@pytest.mark.parametrize("stream", [True, False])
def test_functions_of_a_backend(
    chat: Server, upstream: Upstream, question: Any, stream: bool
) -> None:
    asked = ask(chat, "Light, please.", "caller", tools=[FUNCTION], stream=stream)
    first = events(asked)[-1]["response"] if stream else done(asked)
    (call,) = first["output"]
    assert call["call_id"] == "call_up"
    output = [{"type": "input_text", "text": "on"}, question[0]["content"][1]]
    item = {"type": "function_call_output", "call_id": "call_up", "output": output[:1]}
    more = {"tools": [FUNCTION], "previous_response_id": first["id"]}
    second = done(ask(chat, [item], "caller", **more))
    assert second["output"][0]["content"][0]["text"] == "call_up: on"
    done(ask(chat, [{**item, "output": output}], "caller", **more))
    roles = [each["role"] for each in upstream.asked[-1]["messages"]]
    assert roles == ["user", "assistant", "tool", "user"]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"model": ...}, "missing_required_parameter", "model"),
        ({"input": ...}, "missing_required_parameter", "input"),
        ({"input": []}, "invalid_value", "input"),
        ({"input": 3}, "invalid_type", "input"),
        ({"input": [3]}, "invalid_type", "input[0]"),
        ({"input": [{"role": "robot", "content": "x"}]}, "invalid_value", "input[0].role"),
        ({"input": [{"role": "user"}]}, "missing_required_parameter", "input[0].content"),
        ({"input": [{"type": "computer_call"}]}, "invalid_value", "input[0].type"),
        ({"stream": "yes"}, "invalid_type", "stream"),
        ({"max_output_tokens": 0}, "invalid_value", "max_output_tokens"),
        ({"background": True}, "unsupported_parameter", "background"),
        ({"conversation": "c"}, "unsupported_parameter", "conversation"),
        ({"tools": [{"type": "web_search"}]}, "unsupported_parameter", "tools[0].type"),
        ({"tools": [FUNCTION]}, "unsupported_parameter", "tools"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "x"}},
         "invalid_value", "tool_choice"),
        ({"tool_choice": "required"}, "invalid_value", "tool_choice"),
        ({"text": {"format": {"type": "yaml"}}}, "invalid_value", "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}},
         "missing_required_parameter", "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "schema": {"type": "nonsense"}}}},
         "invalid_json_schema", "text.format"),
        ({"previous_response_id": "resp_x"}, "response_not_found", "previous_response_id"),
        ({"metadata": {"a": 1}}, "invalid_type", "metadata.a"),
        ({"model": "nope"}, "model_not_found", "model"),
    ],
)  # fmt: skip
def test_refusals(chat: Server, body: dict[str, Any], code: str, param: str) -> None:
    status = 404 if code.endswith("not_found") else 400
    refused(ask(chat, **{"input": "x", **body}), status, code, param)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/png;base64,%%%", "invalid_base64_image"),
        ("data:image/png;base64,AAAA", "invalid_image_format"),
        ("data:image/png;base64,", "empty_image_file"),
        ("http://10.0.0.1/a.png", "invalid_image_url"),
        ("file:///etc/passwd", "invalid_image_url"),
    ],
)
def test_pictures_that_are_none(chat: Server, url: str, code: str) -> None:
    for stream in (False, True):
        content = [{"type": "input_image", "image_url": url}]
        answer = ask(chat, [{"role": "user", "content": content}], stream=stream)
        refused(answer, 400, code, "input[0].content[0].image_url")


def test_a_schema_that_cannot_be_met(chat: Server, question: Any) -> None:
    schema = {"type": "object", "properties": {"price": {"type": "integer"}}, "required": ["price"]}
    form = {"format": {"type": "json_schema", "name": "p", "schema": schema}}
    answer = ask(chat, question, text=form)
    assert "price" in refused(answer, 400, "unsupported_parameter", "text.format")


def test_odd_extras_and_no_text(chat: Server, question: Any) -> None:
    picture = [{"type": "message", "role": "user", "content": question[0]["content"][1:] * 40}]
    answer = done(
        ask(
            chat,
            picture,
            frequency_penalty=0.1,
            reasoning={"effort": "low"},
            truncation="auto",
            include=["message.output_text.logprobs"],
            service_tier="flex",
            what="ever",
            user=None,
            text=None,
        )
    )
    assert "Picture 40" in answer["output"][0]["content"][0]["text"]


def test_a_backend_that_dies_in_mid_stream(chat: Server) -> None:
    told = events(ask(chat, "x", "dying", stream=True))
    assert [each["type"] for each in told[-2:]] == ["response.failed", "error"]
    assert "hung up" in told[-2]["response"]["error"]["message"]
    assert told[-1]["error"]["message"] == told[-1]["message"]
    refused(get(chat, told[0]["response"]["id"]), 404, "response_not_found", None)


def test_each_is_counted_once(chat: Server) -> None:
    headers = {"Authorization": f"Bearer {chat.new_key('responding', '--tier', 'professional')}"}

    def used() -> int:
        url = f"{chat.url}/api/v2/usage/breakdown"
        body = requests.get(url, headers=headers, timeout=60).json()
        return int(body.get("total_credits_used", -1))

    for model in ("good", "dying", "broken", "picky"):
        for path, body in (
            (PATH, {"model": model, "input": "x", "stream": True}),
            ("/api/chat", {"model": model, "messages": [{"role": "user", "content": "x"}]}),
        ):
            requests.post(chat.url + path, headers=headers, json=body, timeout=60)
    until(lambda: used() == 4, every=0.5)  # those that had begun


def test_a_relayed_answer(chat: Server, upstream: Upstream, question: Any) -> None:
    answer = done(ask(chat, question, "good", instructions="Be brief.", temperature=0.2))
    assert answer["output"][0]["content"][0]["text"] == "".join(WORDS)
    assert answer["model"] == "good-2026"
    passed = upstream.asked[-1]
    assert passed["messages"][0] == {"role": "system", "content": "Be brief."}
    assert passed["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/jpeg")
    assert passed["temperature"] == 0.2


def test_somebody_elses(chat: Server) -> None:
    mine = done(ask(chat, "Hello"))
    other = {"Authorization": f"Bearer {chat.new_key('responses-stranger')}"}
    item = [{"type": "item_reference", "id": mine["output"][0]["id"]}]
    for answer in (
        requests.get(f"{chat.url}{PATH}/{mine['id']}", headers=other, timeout=60),
        requests.get(f"{chat.url}{PATH}/{mine['id']}/input_items", headers=other, timeout=60),
        requests.delete(f"{chat.url}{PATH}/{mine['id']}", headers=other, timeout=60),
        requests.post(
            chat.url + PATH,
            headers=other,
            json={"model": LOCAL, "input": "x", "previous_response_id": mine["id"]},
            timeout=60,
        ),
        requests.post(
            chat.url + PATH, headers=other, json={"model": LOCAL, "input": item}, timeout=60
        ),
    ):
        assert answer.status_code == 404, answer.text
        assert answer.json()["error"]["code"] == "response_not_found"


async def test_what_is_too_large_to_be_kept(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.transaction() as tx:
        tenant = await tx.accounts.add_tenant("keeper", Tier.FREE)
    responses = Responses(database)
    id, body = uuid.uuid4(), dict[str, Any](output=[])
    monkeypatch.setattr(usecase, "LARGEST_INPUT", 100)
    await responses.add(tenant.id, id, None, ["x" * 200], body)
    assert (await responses.get(tenant.id, id)).input is None
    with pytest.raises(InvalidValue, match="too large"):
        await responses.history(tenant.id, id, "previous_response_id")


async def test_the_sweep(database: PostgresDatabase) -> None:
    async with database.transaction() as tx:
        tenant = await tx.accounts.add_tenant("sweeper", Tier.FREE)
    responses = Responses(database)
    old, new = uuid.uuid4(), uuid.uuid4()
    await responses.add(tenant.id, old, None, [], {"output": []})
    await responses.add(tenant.id, new, old, [], {"output": []})
    async with database.transaction() as tx:
        await tx.connection.execute(
            "UPDATE responses SET created_at = now() - interval '25 hours' WHERE id = %s", (old,)
        )
        assert await tx.responses.purge(older_than=usecase.KEPT_FOR) == 1
    assert (await responses.get(tenant.id, new)).previous_id == old
    with pytest.raises(ResponseNotFound):
        await responses.get(tenant.id, old)


@pytest.mark.parametrize("path", ["input_tokens", "compact"])
def test_what_is_not_served(chat: Server, path: str) -> None:
    """Is unknown, as its clients expect, not another method of an answer that is called so."""
    answer = requests.post(
        f"{chat.url}{PATH}/{path}", headers=chat.headers, json={"model": LOCAL}, timeout=60
    )
    refused(answer, 404, "not_found", None)
