"""Keys over HTTP: making, listing, changing, ending; and what each may do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
from tests.conftest import Server, ocelli
from tests.integration.test_main_job import API, get
from tests.waiting import until

Call = Callable[..., requests.Response]


def caller(server: Server, key: str) -> Call:
    def call(method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})}
        return requests.request(
            method, f"{server.url}{API}{path}", headers=headers, timeout=60, **options
        )

    return call


def new_tenant(server: Server, *options: str) -> Call:
    return caller(server, server.new_key(f"t-{uuid.uuid4()}", *options))


@pytest.fixture(scope="module")
def boss(server: Server) -> Call:
    """An admin key of a tenant of its own."""
    return new_tenant(server)


def made(boss: Call, **fields: Any) -> dict[str, Any]:
    answer = boss("POST", "/api-keys", json={"name": "made", **fields})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_key_from_birth_to_end(server: Server, boss: Call) -> None:
    new = boss(
        "POST",
        "/api-keys",
        json={
            "name": "nightly",
            "description": "import",
            "scopes": ["write", "usage:read", "write"],
            "metadata": {"team": "a", "n": 1},
            "expires_at": "2100-01-01T00:00:00",
        },
    )
    assert new.status_code == 201
    assert new.headers["Cache-Control"] == "no-store"
    body = new.json()
    key, id = body.pop("api_key"), body["id"]
    assert body["scopes"] == ["write", "usage:read"]
    assert body["expires_at"] == "2100-01-01T00:00:00Z"
    assert key.startswith(body["key_prefix"])
    assert body["is_active"]
    mine = caller(server, key)
    assert mine("GET", "/user-files").status_code == 200

    listed = boss("GET", "/api-keys").json()
    assert listed["total"] == len(listed["api_keys"]) >= 2
    shown = next(each for each in listed["api_keys"] if each["id"] == id)
    assert {name: shown[name] for name in body} == body
    assert key not in json.dumps(listed)

    changed = boss(
        "PUT",
        f"/api-keys/{id}",
        json={"name": "weekly", "description": "", "metadata": {"n": 2, "x": None}},
    ).json()
    assert (changed["name"], changed["description"]) == ("weekly", None)
    assert changed["metadata"] == {"team": "a", "n": 2, "x": None}
    assert changed == boss("GET", f"/api-keys/{id}").json()

    for reason in ("left", "again"):
        gone = boss("DELETE", f"/api-keys/{id}", params={"reason": reason})
        assert (gone.status_code, gone.content) == (204, b"")
    refused = until(lambda: mine("GET", "/user-files").json().get("error"), every=0.2)
    assert refused["code"] == "DEACTIVATED_API_KEY"
    assert id not in boss("GET", "/api-keys").text
    inactive = boss("GET", "/api-keys", params={"include_inactive": True, "limit": 1}).json()
    assert inactive["total"] >= 2
    assert inactive["api_keys"][0]["id"] == id
    assert not inactive["api_keys"][0]["is_active"]
    assert inactive["api_keys"][0]["metadata"]["deactivation_reason"] == "left"


def test_use_is_counted_without_a_write_per_request(server: Server, boss: Call) -> None:
    new = made(boss)
    assert boss("GET", f"/api-keys/{new['id']}").json()["last_used_at"] is None
    for _ in range(7):
        caller(server, new["api_key"])("GET", "/user-files")

    def seven() -> dict[str, Any] | None:
        shown: dict[str, Any] = boss("GET", f"/api-keys/{new['id']}").json()
        return shown if shown["usage_count"] >= 7 else None  # they may be written in two parts

    shown = until(seven, every=0.2)
    assert shown["usage_count"] == 7
    assert shown["last_used_at"] > new["created_at"]


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"scopes": ["read", "files:eat"]}, 400, "scopes"),
        ({"scopes": "read"}, 422, "scopes"),
        ({"metadata": {"created_by_user_id": 1}}, 400, "metadata"),
        ({"metadata": {"deactivated_at": 1}}, 400, "metadata"),
        ({"metadata": {"x": "y" * 20_000}}, 422, "metadata"),
        ({"metadata": {"x": "a\0b"}}, 422, "metadata"),
        ({"metadata": {"a\0b": 1}}, 422, "metadata"),
        ({"metadata": []}, 422, "metadata"),
        ({"name": ""}, 422, "name"),
        ({"name": "x" * 256}, 422, "name"),
        ({"name": "a\0b"}, 422, "name"),
        ({"description": "x" * 501}, 422, "description"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 422, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, 422, "expires_at"),
        ({"expires_at": "soon"}, 422, "expires_at"),
    ],
)
def test_what_cannot_be_made(boss: Call, fields: dict[str, Any], status: int, field: str) -> None:
    answer = boss("POST", "/api-keys", json={"name": "x", **fields})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert answer.json()["error"]["details"]["field"] == field


@pytest.mark.parametrize("number", ["NaN", "-Infinity", '"\\ud800"'])
def test_what_is_no_json_in_metadata(boss: Call, number: str) -> None:
    answer = boss(
        "POST",
        "/api-keys",
        data=f'{{"name": "x", "metadata": {{"n": {number}}}}}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422


def test_what_cannot_be_changed(boss: Call) -> None:
    path = f"/api-keys/{made(boss)['id']}"
    for body, status in (
        ({"scopes": ["admin"]}, 422),
        ({"expires_at": None}, 422),
        ({"metadata": {"deactivation_reason": "x"}}, 400),
        ({"name": ""}, 422),
    ):
        assert boss("PUT", path, json=body).status_code == status
    for n in range(3):
        last = boss("PUT", path, json={"metadata": {f"k{n}": "x" * 6000}}).status_code
    assert last == 422, "merged it would be too large"
    assert sorted(boss("GET", path).json()["metadata"]) == ["k0", "k1"]


def test_another_tenants_key_is_not_there(server: Server, boss: Call) -> None:
    id, stranger = made(boss)["id"], new_tenant(server)
    unknown = str(uuid.uuid4())
    for method, options in (("GET", {}), ("PUT", {"json": {"name": "x"}}), ("DELETE", {})):
        answers = [stranger(method, f"/api-keys/{each}", **options) for each in (id, unknown)]
        assert [each.status_code for each in answers] == [404, 404]
    assert stranger("GET", "/api-keys").json()["total"] == 1
    assert boss("GET", f"/api-keys/{id}").json()["is_active"]
    assert boss("GET", "/api-keys/1").status_code == 422


def test_pages_of_keys(server: Server) -> None:
    boss = new_tenant(server)
    ids = [made(boss)["id"] for _ in range(3)]
    pages = [boss("GET", f"/api-keys?limit=2&offset={offset}").json() for offset in (0, 2)]
    assert [each["id"] for page in pages for each in page["api_keys"]][:3] == ids[::-1]
    assert [page["total"] for page in pages] == [4, 4]


CALLS = {
    "read": ("GET", "/user-files"),
    "write": ("DELETE", f"/user-files/{uuid.uuid4()}"),
    "keys read": ("GET", "/api-keys"),
    "keys write": ("POST", "/api-keys"),
    "keys delete": ("DELETE", f"/api-keys/{uuid.uuid4()}"),
}


@pytest.mark.parametrize(
    ("scopes", "open_doors"),
    [
        (["read"], {"read", "keys read"}),
        (["write"], {"read", "write", "keys read"}),
        (["admin"], set(CALLS)),
        (["api_keys:read"], {"keys read"}),
        (["api_keys:write"], {"keys write"}),
        (["read", "api_keys:delete"], {"read", "keys read", "keys delete"}),
        (["cloud_storage:share"], set()),
    ],
)
def test_scopes_open_what_they_say(
    server: Server, boss: Call, scopes: list[str], open_doors: set[str]
) -> None:
    mine = caller(server, made(boss, scopes=scopes)["api_key"])
    answers = {name: mine(*call) for name, call in CALLS.items()}
    refused = {name for name, answer in answers.items() if answer.status_code == 403}
    assert set(CALLS) - refused == open_doors
    for name in refused:
        assert answers[name].json()["error"]["code"] == "AUTHZ_ERROR"
        assert "X-RateLimit-Remaining" in answers[name].headers


def test_a_key_cannot_make_a_stronger_one(server: Server, boss: Call) -> None:
    mine = caller(server, made(boss, scopes=["write", "api_keys:write"])["api_key"])
    for scopes in (["admin"], ["api_keys:delete"], ["read", "usage:write"]):
        answer = mine("POST", "/api-keys", json={"name": "x", "scopes": scopes})
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "AUTHZ_ERROR"
    assert made(mine, scopes=["read", "usage:read"])["scopes"] == ["read", "usage:read"]
    assert made(mine)["scopes"] == ["write", "api_keys:write"], "none: as its maker"


def test_the_command_line_knows_scopes(server: Server) -> None:
    tenant = f"t-{uuid.uuid4()}"
    reader = caller(server, server.new_key(tenant, "--scopes", "read, usage:read"))
    assert reader("GET", "/user-files").status_code == 200
    assert reader("POST", "/api-keys", json={"name": "x"}).status_code == 403
    listed = json.loads(ocelli("keys", "list", "--json", data=server.data))
    scopes = [key["scopes"] for key in listed if key["tenant"] == tenant]
    assert scopes == [["read", "usage:read"]]
    assert "usage:read" in ocelli("keys", "list", data=server.data).replace("\n", "")
    assert ocelli("keys", "create", "--scopes", "eat", data=server.data, check=False) == ""


def test_keys_of_old_may_do_everything(server: Server) -> None:
    assert get(server, "/api-keys").json()["api_keys"][-1]["scopes"] == ["admin"]
