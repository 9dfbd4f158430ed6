"""The server that a command talks to, over the SDK. Needs no server libraries."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from aion import (
    AionvisionConnectionError,
    AionvisionError,
    AionvisionPermissionError,
    AionvisionTimeoutError,
    AuthenticationError,
    InsecureTransportWarning,
    QuotaExceededError,
    SyncAionVision,
    UploadError,
    ValidationError,
)
from aion.config import check_api_key
from ocelli.cli.output import CANNOT_RUN, WRONG_USE, fail
from ocelli.settings_file import BadSettingsFile, read_settings_file
from ocelli.wiring.data_folder import KEY, running_server

if TYPE_CHECKING:
    from collections.abc import Callable


def connect(server: str | None, key: str | None, data: Path | None) -> SyncAionVision | int:
    """Return a client of the named server, or of the one that runs on the data folder.

    Prints the error and returns the exit code if there is none, or no key.
    """
    folder = data_folder(data)
    running = running_server(folder)
    if running is not None and (server is None or same_server(server, running)):
        server = running  # `localhost` may be another one's
        key = key or first_key(folder)
    if not key:
        where = "no server runs on" if running is None else "this is not the server that runs on"
        fail(
            f"no API key, and {where} {folder}",
            "start one with `ocelli serve` (--data names its folder), or give --server and --key; "
            "`ocelli keys create` makes a key",
        )
        return CANNOT_RUN
    try:
        return _client(server, key)
    except ValueError as error:
        fail(str(error))
        return WRONG_USE


def with_client(
    run: Callable[[SyncAionVision], int], *, server: str | None, key: str | None, data: Path | None
) -> int:
    """Run a command with the client of ``connect``; print what goes wrong.

    Returns the exit code.
    """
    client = connect(server, key, data)
    if isinstance(client, int):
        return client
    with client:
        try:
            return run(client)
        except (ValidationError, UploadError) as error:
            fail(error.message)
            return WRONG_USE
        except AionvisionError as error:
            fail(error.message, hint(error))
            return CANNOT_RUN


def data_folder(given: Path | None) -> Path:
    """Return the data folder of an `ocelli serve` that is started here with this option.

    Ends the program after printing what is wrong with `ocelli.toml`.
    """
    if given is not None:
        return given
    if named := os.environ.get("OCELLI_DATA"):
        return Path(named)
    try:
        configured = read_settings_file().get("data", ".ocelli")
    except BadSettingsFile as error:
        fail(str(error), error.advice)
        sys.exit(WRONG_USE)
    if not isinstance(configured, str):
        fail("ocelli.toml, data: must be a text", 'data = "folder"')
        sys.exit(WRONG_USE)
    return Path(configured)


def first_key(folder: Path) -> str | None:
    """Return the first key that the server wrote there; None if there is none."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (folder / KEY).read_text(encoding="utf-8").strip() or None
    return None


def same_server(url: str, running: str) -> bool:
    """Return whether this address is that of the server that runs here."""
    with contextlib.suppress(ValueError):
        given, own = urlsplit(url), urlsplit(running)
        at = {given.hostname, own.hostname}
        same_host = len(at) == 1 or ("localhost" in at and at & {"127.0.0.1", "::1"})
        return bool(given.scheme == own.scheme and given.port == own.port and same_host)
    return False


def _client(server: str | None, key: str) -> SyncAionVision:
    check_api_key(key)
    given = {"api_key": key} if server is None else {"api_key": key, "base_url": server}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InsecureTransportWarning)
        client = SyncAionVision.from_env(**given)
    for warning in caught:
        typer.secho(f"ocelli: {warning.message}", fg="yellow", err=True)
    return client


def hint(error: AionvisionError) -> str | None:
    """Return what to do about an error; None if the message says it all."""
    match error:
        case AionvisionConnectionError():
            return "start one with `ocelli serve`, or name another with --server URL"
        case AuthenticationError():
            return "give this server's key with --key or AIONVISION_API_KEY; `ocelli keys list`"
        case AionvisionPermissionError():
            return "this key may not do that: `ocelli keys create --scopes read,write`"
        case QuotaExceededError():
            return "upload fewer files, or use a key of a larger tier"
        case AionvisionTimeoutError():
            return "is the server overloaded? AIONVISION_TIMEOUT sets how many seconds to wait"
    return None
