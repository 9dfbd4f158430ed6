"""Workers as actors of a Ray cluster.

Not as a Ray Data job: the budget, equal files and the end of a run are decided picture by picture,
see docs/decisions/0061-bulk.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from ocelli.bulk.hand_out import HandOut
from ocelli.bulk.rows import Row
from ocelli.bulk.run import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ocelli.bulk.feed import Feed
    from ocelli.bulk.plan import Build, WorkerPlan
    from ocelli.bulk.tasks import Task
    from ocelli.bulk.worker import PictureWorker

# Ray reports what it is used for unless this is set when it is imported, in its children too; and
# then a head still reports, once, that it does not: hence the address.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",
    "DO_NOT_TRACK": "1",
}
TICK = 1.0  # seconds
START_TIMEOUT = 900.0  # seconds without any worker
MAX_EARLY_DEATHS = 5  # before anything was described
OBJECT_STORE = 512 * 1024 * 1024  # bytes, of a Ray that this command starts


class RayEngine:
    """See run.Engine. ``plans`` returns those of so many workers; without ``workers`` the cluster
    has one for each of its processors. Without an ``address`` Ray is started on this machine.
    """

    def __init__(
        self,
        plans: Callable[[int], Sequence[WorkerPlan]],
        build: Build,
        *,
        address: str | None = None,
        workers: int | None = None,
    ) -> None:
        self._plans = plans
        self._build = build
        self._address = address
        self._workers = workers

    def run(self, feed: Feed, claim: Callable[[Task, str], bool]) -> Iterator[Row | None]:
        """See run.Engine."""
        first = feed.take()
        if first is None:
            return
        # Ray prints to standard output, which is for the account.
        with contextlib.redirect_stdout(sys.stderr), _connected(self._address) as ray:
            processors = int(ray.cluster_resources().get("CPU", 0))
            plans = self._plans(self._workers or max(1, processors))
            hand_out = HandOut(feed, plans[0].at_once)
            hand_out.again([first])
            yield from _Pool(ray, plans, self._build, hand_out, claim).rows()


class _Worker:
    """An actor: one process somewhere in the cluster."""

    def __init__(self, plan: WorkerPlan, build: Build) -> None:
        self._plan = plan
        self._build = build
        self._stack = contextlib.AsyncExitStack()
        self._worker: PictureWorker
        self._running: dict[int, tuple[asyncio.Task[Row], asyncio.Future[bool]]] = {}

    async def start(self) -> str:
        """Load the models; return the node. Raises AnalysisFailed."""
        import ray

        self._worker = await self._stack.enter_async_context(self._build(self._plan))
        node: str = ray.get_runtime_context().get_node_id()
        return node

    async def begin(self, task: Task) -> Row | str:
        """Read a picture; return its key, which is to be claimed, or why there is none."""
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[str] = loop.create_future()
        answer: asyncio.Future[bool] = loop.create_future()

        async def claim(_: Task, key: str) -> bool:
            asked.set_result(key)
            return await answer

        running = loop.create_task(self._worker.work(task, claim))
        either: set[asyncio.Future[Any]] = {running, asked}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        self._running[task.id] = running, answer
        return asked.result()

    async def finish(self, id: int, is_claimed: bool) -> Row:
        """Describe what was begun, if it is claimed."""
        running, answer = self._running.pop(id)
        answer.set_result(is_claimed)
        return await running


class _Actor:
    """A worker from the side of the command. ``node`` is empty until its models are loaded."""

    def __init__(self, handle: Any, plan: WorkerPlan) -> None:
        self.handle = handle
        self.plan = plan
        self.node = ""
        self.held: dict[int, Task] = {}


class _Pool:
    """Hands out tasks to actors; replaces those that die, wherever there is room."""

    def __init__(
        self,
        ray: Any,
        plans: Sequence[WorkerPlan],
        build: Build,
        hand_out: HandOut,
        claim: Callable[[Task, str], bool],
    ) -> None:
        self._ray = ray
        self._build = build
        self._hand_out = hand_out
        self._claim = claim
        self._actors: list[_Actor] = []
        self._pending: dict[Any, tuple[_Actor, Task | None]] = {}  # of starts: without a task
        self._deaths = 0
        self._answered = False
        self._alive_at = time.monotonic()
        for plan in plans:
            self._start(plan)

    def rows(self) -> Iterator[Row | None]:
        """Yield rows until nothing is left to do. Raises EngineFailed."""
        while True:
            for actor in filter(lambda each: each.node, self._actors):
                while (task := self._hand_out.for_process(actor.held)) is not None:
                    actor.held[task.id] = task
                    self._pending[actor.handle.begin.remote(task)] = actor, task
            if self._hand_out.is_empty and not any(each.held for each in self._actors):
                return
            ready = self._ready()
            if not ready:
                yield None
            for reference in ready:
                if reference in self._pending:  # else its actor has died meanwhile
                    yield from self._receive(reference)

    def _ready(self) -> list[Any]:
        references = list(self._pending)
        found, _ = self._ray.wait(references, num_returns=1, timeout=TICK)
        if found:
            found, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        if any(each.node for each in self._actors):
            self._alive_at = time.monotonic()
        elif time.monotonic() - self._alive_at > START_TIMEOUT:
            raise EngineFailed(
                f"No worker has started on the cluster in {START_TIMEOUT:.0f} s: "
                "each needs a processor."
            )
        ready: list[Any] = found
        return ready

    def _receive(self, reference: Any) -> Iterator[Row]:
        actor, task = self._pending.pop(reference)
        try:
            received = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            yield from self._replace(actor, type(error).__name__)
            return
        except self._ray.exceptions.RayError as error:
            raise EngineFailed(str(getattr(error, "cause", None) or error)) from error
        if task is None:
            actor.node = received
        elif isinstance(received, Row):
            self._answered = True
            actor.held.pop(task.id, None)
            yield received
        else:
            answer = self._claim(task, received)
            self._pending[actor.handle.finish.remote(task.id, answer)] = actor, task

    def _replace(self, actor: _Actor, ending: str) -> Iterator[Row]:
        """Start another actor for one that has died; yield the rows of what died with it twice."""
        self._actors.remove(actor)
        self._pending = {
            reference: each for reference, each in self._pending.items() if each[0] is not actor
        }
        alive = {each["NodeID"] for each in self._ray.nodes() if each["Alive"]}
        if actor.node and actor.node not in alive:
            self._hand_out.again(actor.held.values())
        else:
            self._deaths += 1
            if self._deaths >= MAX_EARLY_DEATHS and not self._answered:
                raise EngineFailed(f"each worker ends at once ({ending})")
            yield from self._hand_out.died(actor.held.values(), ending)
        self._start(actor.plan)

    def _start(self, plan: WorkerPlan) -> None:
        options = {"num_cpus": 1, "max_restarts": 0, "runtime_env": {"env_vars": QUIET}}
        handle = self._ray.remote(_Worker).options(**options).remote(plan, self._build)
        actor = _Actor(handle, plan)
        self._actors.append(actor)
        self._pending[handle.start.remote()] = actor, None


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Give Ray, connected for the length of the block. Raises EngineFailed."""
    os.environ.update(QUIET)
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
        options["_node_ip_address"] = "127.0.0.1"  # it has no password: for this machine alone
    try:
        ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EngineFailed(f"Ray cannot be reached: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
