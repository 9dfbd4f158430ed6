"""What of the server a request enters: ``python -m benchmarks.request_trace [--calls]``.

Counts files of ``src/ocelli`` that are entered in the API process, and calls of functions in them,
while a request that has been made before is made again. Comprehensions and lambdas belong to the
function that they stand in; a coroutine is called once, however often it is resumed. What other
tasks do at the same time is not counted.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections import Counter
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

import ocelli
from ocelli.cli.demo import sample_photos
from ocelli.domain.accounts import KeyDraft, Tier
from ocelli.domain.scopes import EVERYTHING
from ocelli.settings import Settings
from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.postgres.schema import migrate
from ocelli.wiring.api import build_api

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

SOURCE = f"{Path(ocelli.__file__).parent}/"
REPEATS = 5  # of each request; the least is told, as the first ones fill caches


class Trace:
    """Calls by file and function."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()

    @property
    def files(self) -> set[str]:
        """The files that were entered."""
        return {file for file, _ in self.calls}


_current: ContextVar[Trace | None] = ContextVar("current", default=None)


def _note(frame: FrameType, event: str, _: Any) -> None:
    """Count a call, if its task or thread works for a request that is traced."""
    code = frame.f_code
    if event != "call" or not code.co_filename.startswith(SOURCE) or code.co_name[0] == "<":
        return
    trace = _current.get()
    is_resumed = code.co_code[frame.f_lasti + 1] != 0  # the argument of RESUME
    if trace is not None and not is_resumed:
        trace.calls[code.co_filename.removeprefix(SOURCE), code.co_qualname] += 1


async def traces(folder: Path, dsn: str) -> dict[str, Trace]:
    """Upload a picture, and poll how far it has come."""
    app = build_api(Settings(data=folder), dsn)
    photo = sample_photos()[0].read_bytes()
    found: dict[str, Trace] = {}
    async with app.router.lifespan_context(app):
        key = await app.state.services.keys.issue(
            "trace", Tier.ENTERPRISE, KeyDraft("trace", EVERYTHING)
        )
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://trace",
            headers={"Authorization": f"Bearer {key}"},
        ) as client:
            upload = await _least(
                lambda: client.post(
                    "/api/v2/user-files/upload/stream", files={"file": ("a.jpg", photo)}
                ),
                found,
                "upload",
            )
            status = f"/api/v2/uploads/status/{upload.json()['image_id']}"
            await _least(lambda: client.get(status), found, "poll")
    return found


async def _least(
    request: Callable[[], Awaitable[httpx2.Response]], found: dict[str, Trace], name: str
) -> httpx2.Response:
    """The trace with the fewest calls into ``found``; the last answer."""
    for _ in range(REPEATS):
        trace = Trace()
        token = _current.set(trace)
        answer = await request()
        _current.reset(token)
        answer.raise_for_status()
        found[name] = min(found.get(name, trace), trace, key=lambda each: each.calls.total())
    return answer


def main() -> None:
    """Print a line for each request; with ``--calls`` every function too."""
    with tempfile.TemporaryDirectory(prefix="ocelli-trace-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's Postgres runs as another user
        postgres = EmbeddedPostgres(folder / "postgres", durable=False)
        try:
            dsn = postgres.start()
            migrate(dsn)
            threading.setprofile(_note)
            sys.setprofile(_note)
            found = asyncio.run(traces(folder / "data", dsn))
            sys.setprofile(None)
        finally:
            postgres.stop()
    for request, trace in found.items():
        print(f"{request}: {len(trace.files)} files, {trace.calls.total()} calls")
        if "--calls" in sys.argv[1:]:
            for (file, function), times in sorted(trace.calls.items()):
                print(f"    {times:3} {file} {function}")


if __name__ == "__main__":
    main()
