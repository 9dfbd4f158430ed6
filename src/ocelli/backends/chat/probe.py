"""Is a configured backend there? Asked without a picture and at no cost."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from ocelli.backends.bodies import read_bounded
from ocelli.backends.config import BackendConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.backends.registry import MissingKey

TIMEOUT = 5.0
LONGEST = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Probed:
    """One backend as ``ocelli models`` and ``ocelli doctor`` show it."""

    name: str
    state: str
    is_good: bool
    provider: str = ""
    model: str = ""
    base_url: str = ""
    sight: str = ""


async def probe_all(configured: Sequence[BackendConfig | MissingKey]) -> list[Probed]:
    """Probe all backends concurrently; takes five seconds at most."""
    async with aiohttp.ClientSession() as session:
        return await asyncio.gather(*(_probe(each, session) for each in configured))


async def _probe(config: BackendConfig | MissingKey, session: aiohttp.ClientSession) -> Probed:
    if not isinstance(config, BackendConfig):
        return Probed(config.name, f"no key in {config.variable}", is_good=False)
    if not config.provider.is_server:
        return Probed(config.name, "in this process", True, config.provider.name, config.model)
    state, is_good = await _state(config, session)
    return Probed(config.name, state, is_good, config.provider.name, config.model, config.base_url)


async def _state(config: BackendConfig, session: aiohttp.ClientSession) -> tuple[str, bool]:
    """Probe a backend by its list of models, which almost all servers of this protocol have."""
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            session.get(
                f"{config.base_url}/models",
                headers=config.headers(),
                proxy=config.proxy,
                allow_redirects=False,
            ) as response,
        ):
            data = await read_bounded(response, LONGEST)
            status = response.status
    except TimeoutError:
        return f"no answer within {TIMEOUT:g} s", False
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"cannot be reached ({type(error).__name__})", False
    if status in (401, 403):
        return f"does not accept the key ({status})", False
    if status >= 500:
        return f"answers {status}", False
    listed = _models(data)
    if not listed or {config.model, f"{config.model}:latest"} & listed:
        return "answers", True
    return f"answers, and does not list the model {config.model}", True


def _models(data: bytes) -> set[str]:
    """Their names; none if this is no such list."""
    try:
        answer = json.loads(data)
        return {str(model["id"]).removeprefix("models/") for model in answer["data"]}
    except (ValueError, LookupError, TypeError, RecursionError):
        return set()
