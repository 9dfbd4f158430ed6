"""Settings: from arguments, from the environment, and refused with advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sdk.sdk_server import KEY

import aion
from aion import AionVision, ClientConfig, InsecureTransportWarning, SyncAionVision, load_dotenv

CLIENTS = [AionVision, SyncAionVision]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in dir(aion):
        if name.startswith("ENV_"):
            monkeypatch.delenv(getattr(aion, name), raising=False)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "key", ["", None, "aion_...", "aion_…", "short", "AION_" + "x" * 30, KEY + " "]
)
def test_bad_keys(client: Any, key: Any) -> None:
    with pytest.raises(ValueError, match="ocelli keys create") as caught:
        client(api_key=key)
    assert not isinstance(caught.value, aion.AionvisionError)


@given(st.from_regex(r"[a-z]+_[A-Za-z0-9_-]{20,}", fullmatch=True))
def test_good_keys(key: str) -> None:
    if "YOUR_API_KEY" not in key.upper():
        assert ClientConfig(key).auth_header == {"Authorization": f"Bearer {key}"}


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(ClientConfig(KEY))
    assert KEY not in repr(AionVision(KEY))


def test_defaults() -> None:
    config = AionVision(KEY).config
    assert config.base_url == "http://127.0.0.1:8000/api/v2"
    assert (config.timeout, config.max_retries, config.retry_delay) == (300.0, 3, 1.0)
    assert (config.polling_interval, config.polling_timeout) == (2.0, 360.0)
    assert (config.tenant_id, config.proxy_url, config.enable_tracing) == (None, None, False)


@pytest.mark.parametrize("client", CLIENTS)
def test_environment(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        aion.ENV_API_KEY: KEY,
        aion.ENV_BASE_URL: "https://example.org/api/v2/",
        aion.ENV_TIMEOUT: "30",
        aion.ENV_MAX_RETRIES: "1",
        aion.ENV_RETRY_DELAY: "0.5",
        aion.ENV_POLLING_INTERVAL: "0.1",
        aion.ENV_POLLING_TIMEOUT: "9",
        aion.ENV_TENANT_ID: "tenant",
        aion.ENV_PROXY_URL: "http://proxy:3128",
        aion.ENV_ENABLE_TRACING: "yes",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    config = client.from_env(max_retries=7).config
    assert config.base_url == "https://example.org/api/v2"
    assert (config.timeout, config.max_retries, config.retry_delay) == (30.0, 7, 0.5)
    assert (config.polling_interval, config.polling_timeout) == (0.1, 9.0)
    assert (config.proxy_url, config.enable_tracing) == ("http://proxy:3128", True)
    assert config.default_headers["X-Tenant-ID"] == "tenant"
    # These two also with the plain constructor.
    assert client(KEY).config.tenant_id == "tenant"
    assert client(KEY).config.proxy_url == "http://proxy:3128"
    assert client(KEY, tenant_id="other").config.tenant_id == "other"


def test_environment_without_a_key() -> None:
    with pytest.raises(ValueError, match="AIONVISION_API_KEY"):
        AionVision.from_env()


@pytest.mark.parametrize(
    ("variable", "text"), [("AIONVISION_TIMEOUT", "soon"), ("AIONVISION_ENABLE_TRACING", "maybe")]
)
def test_unreadable_variables_are_named(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIONVISION_API_KEY", KEY)
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValueError, match=variable):
        AionVision.from_env()


def test_unknown_settings() -> None:
    with pytest.raises(TypeError, match="colour"):
        AionVision.from_env(api_key=KEY, colour="red")


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"max_retries": -1},
        {"retry_delay": -1},
        {"retry_delay": 0},
        {"polling_interval": 0},
        {"polling_timeout": -3},
        {"base_url": "127.0.0.1:8000"},
        {"base_url": "ftp://example.org"},
        {"proxy_url": "gopher://example.org"},
    ],
)
def test_nonsense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AionVision(KEY, **wrong)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "127.1.2.3", "[::1]:80"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert AionVision(KEY, base_url=f"http://{host}/api/v2").config.is_loopback


@pytest.mark.parametrize("client", CLIENTS)
def test_warning_for_plain_http(client: Any) -> None:
    with pytest.warns(InsecureTransportWarning, match="example.org") as caught:
        client(KEY, base_url="http://example.org/api/v2")
    assert caught[0].filename == __file__  # it points at the caller


def test_base_url_without_a_path() -> None:
    assert AionVision(KEY, base_url="https://example.org").config.base_url.endswith("/api/v2")
    assert AionVision(KEY, base_url="https://example.org/x/").config.base_url.endswith("/x")


def test_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"AIONVISION_API_KEY={KEY}\nAIONVISION_TIMEOUT=12\n")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv("AIONVISION_TIMEOUT", "5")
    monkeypatch.setenv("AIONVISION_API_KEY", "")
    monkeypatch.delenv("AIONVISION_API_KEY")
    assert load_dotenv() is True
    assert AionVision.from_env().config.timeout == 5.0
    assert load_dotenv(tmp_path / ".env", override=True) is True
    assert AionVision.from_env().config.timeout == 12.0
    monkeypatch.chdir("/")
    assert load_dotenv() is False
    assert load_dotenv(tmp_path / "missing") is False
