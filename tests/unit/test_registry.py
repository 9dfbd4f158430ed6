"""Who is configured, and who does what."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from ocelli.backends.config import FILES, BackendConfig, Prices
from ocelli.backends.local.backend import LocalBackend
from ocelli.backends.providers import providers
from ocelli.backends.registry import BackendParts, MissingKey, Registry, configure, registry
from ocelli.cli.options import load_settings, to_environment
from ocelli.domain.claims import Tokens
from ocelli.settings import Settings
from ocelli.wiring.backends import chat_configs

LOCAL = LocalBackend()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as it:
        yield it


def made(session: aiohttp.ClientSession, *names: str, **parts: Any) -> Registry:
    given = {"base_url": "http://127.0.0.1:1", "model": "m"}
    return registry(LOCAL, [configure(n, given, {}) for n in names], session, BackendParts(**parts))


async def test_the_local_one_is_always_there_and_last(session: aiohttp.ClientSession) -> None:
    alone = made(session)
    assert (alone.names, alone.default, alone.checker(LOCAL.name)) == ((LOCAL.name,), LOCAL, LOCAL)
    both = made(session, "b", "a")
    assert tuple(both.names) == ("b", "a", LOCAL.name)
    assert both.default.name == "b"
    assert both.get(LOCAL.name) is LOCAL
    assert both.get("nobody") is None


async def test_who_checks_and_who_judges(session: aiohttp.ClientSession) -> None:
    three = made(session, "a", "b", "c")
    assert three.checker("a").name == "b"
    assert three.checker("b").name == "a"
    assert three.checker("a", "b").name == "c"
    assert three.checker(LOCAL.name).name == "a"
    two = made(session, "a", "b")
    assert two.checker("a", "b").name == "a"
    one = made(session, "a")
    assert one.checker("a").name == one.checker("a", "a").name == "a"
    assert one.checker(LOCAL.name, "a").name == LOCAL.name
    told = made(session, "a", "b", "c", checker="c", judge=LOCAL.name, default="b")
    assert told.default.name == "b"
    assert told.checker("b").name == "c"
    assert told.checker("c").name == "a"
    assert told.checker("b", "c").name == LOCAL.name


def test_a_key_goes_to_its_own_address_only() -> None:
    environment = {"OPENAI_API_KEY": "theirs", "HOUSE_KEY": "ours"}
    openai = configure("openai", {}, environment)
    assert isinstance(openai, BackendConfig)
    assert openai.headers() == {"Authorization": "Bearer theirs"}
    assert "theirs" not in repr(openai)
    assert configure("openai", {}, {}) == MissingKey("openai", "OPENAI_API_KEY")
    elsewhere = configure("openai", {"base_url": "http://10.0.0.1/v1"}, environment)
    assert isinstance(elsewhere, BackendConfig)
    assert elsewhere.headers() == {}
    given = {"base_url": "http://10.0.0.1/v1", "model": "m", "key_variable": "HOUSE_KEY"}
    house = configure("house", given, environment)
    assert isinstance(house, BackendConfig)
    assert house.headers() == {"Authorization": "Bearer ours"}


def test_every_provider_can_be_configured() -> None:
    for name, row in providers().items():
        given = {"model": row.model or "m", "base_url": row.base_url or "http://10.0.0.1/v1"}
        config = configure(name, {**given, "key": "k"}, {})
        assert isinstance(config, BackendConfig)
        assert config.full_side >= config.max_side >= 64
        assert not config.base_url.endswith("/")
        at_home = not row.is_server or (row.base_url is not None and "127.0.0.1" in row.base_url)
        assert row.free == at_home
        assert row.base_url is None or at_home == (row.key_variable is None)


def test_prices() -> None:
    tokens = Tokens(prompt=1_000_000, completion=500_000)
    assert Prices(0.4, 1.6).cost(tokens) == pytest.approx(1.2)
    assert Prices(0.4).cost(tokens) is None
    free = configure("llava", {}, {})
    assert isinstance(free, BackendConfig)
    assert free.prices.cost(tokens) == 0


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ({"x": {"provider": "opnai", "model": "m"}}, "no provider 'opnai'"),
        ({"x": {"model": "m"}}, "needs a `base_url`"),
        ({"x": {"base_url": "http://10.0.0.1/v1"}}, "needs a `model`"),
        ({"x": {"base_url": "ftp://10.0.0.1", "model": "m"}}, "must start with https"),
        ({"ocelli-local": {"model": "m"}}, "taken"),
        ({"a b": {"base_url": "http://10.0.0.1", "model": "m"}}, "a name has"),
        ({"transformers": {"model": "m", "base_url": "http://10.0.0.1"}}, "has no `base_url`"),
        ({"openai": {"modle": "m"}}, "modle"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        Settings(backends=table)


def test_parts_must_be_played_by_somebody() -> None:
    with pytest.raises(ValidationError, match="checker"):
        Settings(checker="openai")
    assert Settings(checker="ocelli-local").checker == "ocelli-local"


@pytest.mark.parametrize("text", ["b", " b , c", '["b", "c"]', "", "[]"])
def test_lists_and_tables_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    table = {name: {"base_url": "http://10.0.0.1/v1", "model": "m"} for name in "bc"}
    monkeypatch.setenv("OCELLI_BACKENDS", json.dumps(table))
    monkeypatch.setenv("OCELLI_CHAT_FALLBACK", text)
    settings = Settings()
    assert settings.chat_fallback == tuple(name for name in "bc" if name in text)
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("CHAT_FALLBACK", "b", "there is no backend 'b'"),
        ("CHAT_FALLBACK", "[b", "must be names separated by commas, or a list in JSON"),
        ("CHAT_ALIASES", "a=b", "must be a table in `ocelli.toml`, or JSON"),
        ("BACKENDS", "openai", "must be a table in `ocelli.toml`, or JSON"),
        ("CHECKER", "b", "there is no backend 'b'"),
    ],
)
def test_the_form_that_is_wanted_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    name: str, text: str, wanted: str,
) -> None:  # fmt: skip
    monkeypatch.setenv(f"OCELLI_{name}", text)
    with pytest.raises(SystemExit):
        load_settings()
    assert f"OCELLI_{name}: {wanted}" in capsys.readouterr().err


def test_child_processes_embed_pictures_alike(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = {"base_url": "http://10.0.0.1/v1/", "model": "m", "key": "hidden", "request": "jina"}
    for table in ({"folder": str(tmp_path)}, server):
        settings = Settings(picture_embedder=table)
        assert "hidden" not in repr(settings)
        for name, value in to_environment(settings).items():
            monkeypatch.setenv(name, value)
        assert Settings() == settings
    for wrong in ({}, {"model": "m"}, {"base_url": "http://10.0.0.1"}, {"folder": "a", **server}):
        with pytest.raises(ValidationError):
            Settings(picture_embedder=wrong)


def test_no_vendor_is_asked_that_nobody_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "theirs")
    assert chat_configs(Settings()) == []
    monkeypatch.setenv("OCELLI_BACKENDS", json.dumps({"openai": {}, "claude": {}}))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    openai, claude = chat_configs(Settings())
    assert isinstance(openai, BackendConfig)
    assert openai.key == "theirs"
    assert claude == MissingKey("claude", "ANTHROPIC_API_KEY")


def test_child_processes_see_the_same_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"house": {"base_url": "http://10.0.0.1/v1", "model": "m", "key": "sk-hidden"}}
    settings = Settings(backends=table)
    assert "sk-hidden" not in repr(settings)
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    (house,) = chat_configs(Settings())
    assert isinstance(house, BackendConfig)
    assert house.key == "sk-hidden"


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    for url, proxy in (
        ("https://outside.example/v1", "http://proxy.example:3128"),
        ("https://inside.example/v1", None),
        ("http://outside.example/v1", None),
        ("https://127.0.0.1:1/v1", None),
    ):
        config = configure("house", {"base_url": url, "model": "m"}, {})
        assert isinstance(config, BackendConfig)
        assert config.proxy == proxy


def test_what_a_sight_test_is_remembered_for() -> None:
    """Server, model, and how it sees; of a model that runs here its files, not its port."""

    def identity(**given: Any) -> str:
        made = configure("a", {"base_url": "http://a/v1", "model": "m", **given}, {})
        assert isinstance(made, BackendConfig)
        return made.identity

    assert identity() == identity(key="x", timeout=7.0, sight_test=False)
    others: list[dict[str, Any]] = [
        {"base_url": "http://b/v1"},
        {"model": "n"},
        {"max_side": 99},
        {"options": {"a": 1}},
    ]
    assert len({identity(), *(identity(**each) for each in others)}) == 1 + len(others)
    files = {FILES: ["abc"]}
    here = identity(options=files, base_url="http://127.0.0.1:1/v1")
    assert here == identity(options=files, base_url="http://127.0.0.1:2/v1")
    assert here != identity(options={FILES: ["abd"]})
