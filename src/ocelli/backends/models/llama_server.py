"""A process that runs llama.cpp's server: ``python -m ocelli.backends.models.llama_server``.

The first line of standard input says what to run, as JSON (``LlamaLaunch``). Standard output gets
one line: ``{"address": ...}`` once it answers, or ``{"error": ...}``. The process ends with its
parent, however that ends: its standard input closes then, and on Linux the kernel kills it besides,
as llama.cpp may hold the interpreter while it loads.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from typing import Any, ClassVar

from ocelli.distribution import pip_install

NICE = 5  # the API and Postgres come first, as before the workers
IDLE_SLOTS = 2
PR_SET_PDEATHSIG = 1
ERRORS_ONLY = 1  # of llama.cpp's levels
NOT_INSTALLED = f"xllamacpp is not installed: {pip_install('server', 'llama')}"


@dataclass(frozen=True, slots=True)
class LlamaLaunch:
    """What to run, and how. ``gpu_layers``: None leaves it to llama.cpp. ``context`` is in tokens,
    for each of the ``slots``.
    """

    name: str
    model: str
    projector: str
    key: str
    slots: int
    threads: int
    context: int
    gpu_layers: int | None = None
    thinks: bool = False

    answers_while_dying: ClassVar[bool] = False
    command: ClassVar[tuple[str, ...]] = (
        sys.executable,
        "-m",
        "ocelli.backends.models.llama_server",
    )

    @property
    def options(self) -> dict[str, int]:
        """What was chosen from the machine, or by its operator."""
        return {"slots": self.slots, "threads": self.threads, "context": self.context}


def main() -> None:
    """Run until the parent is gone."""
    end_with_parent()
    protocol = os.dup(1)
    os.dup2(2, 1)  # whatever native code prints
    launch = LlamaLaunch(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_wait_for_the_end, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # nothing is to be finished
    os.nice(NICE)
    try:
        server = _serve(launch)
        answer = {"address": server.listening_address}
    except ImportError:
        server, answer = None, {"error": NOT_INSTALLED}
    except Exception as error:  # whatever llama.cpp says of a file
        server, answer = None, {"error": f"llama.cpp cannot load it ({error})."}
    os.write(protocol, f"{json.dumps(answer)}\n".encode())
    os.close(protocol)
    while server is not None:
        signal.pause()
    os._exit(1)


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends, where it can."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended meanwhile
        os._exit(1)


def _wait_for_the_end() -> None:
    sys.stdin.read()
    os._exit(1)


def _serve(launch: LlamaLaunch) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = launch.model
    params.mmproj.path = launch.projector
    params.model_alias = {launch.name}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [launch.key]
    # What describes, checks and judges begins with the same rules each time: slots that are free
    # keep them, in memory that those at work take back when they need it.
    params.n_parallel = launch.slots + IDLE_SLOTS
    params.kv_unified = True
    params.n_ctx = launch.slots * launch.context
    params.cpuparams.n_threads = launch.threads
    params.cpuparams_batch.n_threads = launch.threads
    params.verbosity = ERRORS_ONLY
    params.offline = True
    params.ui = False
    params.endpoint_slots = False  # it shows prompts
    params.cache_ram_mib = 0
    if launch.gpu_layers is not None:
        params.n_gpu_layers = launch.gpu_layers
    if launch.thinks:
        params.enable_reasoning = 0
        params.default_template_kwargs = {"enable_thinking": "false"}
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
