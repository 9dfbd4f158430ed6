"""``ocelli mcp``: tools for agents over standard input and output, by a running server."""

from __future__ import annotations

import contextlib
import logging
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from aion import AionVision
from ocelli import __version__
from ocelli.cli.connection import connect
from ocelli.cli.output import CANNOT_RUN, WRONG_USE, fail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path


def mcp(folders: Sequence[Path], **where: Any) -> int:
    """Serve the tools until standard input ends; files of ``folders`` may be looked at.

    Returns the exit code.
    """
    if find_spec("mcp") is None:
        fail("tools for agents need one more package", "pip install 'ocelli-vision[mcp]'")
        return CANNOT_RUN
    missing = [folder for folder in folders if not folder.is_dir()]
    for folder in missing:
        fail(f"no such folder: {folder}")
    if missing:
        return WRONG_USE
    found = connect(**where)
    if isinstance(found, int):
        return found
    with found as client:
        config = client.config
    return _serve(folders, config)


def _serve(folders: Sequence[Path], config: Any) -> int:
    import asyncio

    from ocelli.mcp.pictures import Pictures
    from ocelli.mcp.server import make_server

    async def serve() -> None:
        async with AionVision.from_config(config) as client:

            @contextlib.asynccontextmanager
            async def one(_: object) -> AsyncIterator[AionVision]:
                yield client

            await make_server(one, Pictures(folders), __version__).run_stdio_async()

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)  # stdout is the protocol's
    asyncio.run(serve())
    return 0
