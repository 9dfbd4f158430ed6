"""A process that runs vLLM's server: ``python -m ocelli.backends.models.vllm_server``.

It speaks the protocol of ``llama_server``. ``vllm serve`` is its child; both are in a process group
of their own, which this process kills when its standard input ends, and the parent when this
process has ended. vLLM listens on a socket in a
folder that only this user may enter: its key guards the routes below ``/v1`` alone.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ocelli.backends.models.llama_server import NICE, end_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROGRAM = "vllm"
HOW_TO_INSTALL = "pip install vllm, into this environment or one whose programs are on the PATH"
START_TIMEOUT = 1800.0  # seconds; at its first start vLLM compiles
POLL = 0.2
HEALTH_TIMEOUT = 10.0
LAST_LINES = 4
LONGEST_LINE = 300
MOST_PICTURES = 8  # of one request; memory is set aside for as many
SOCKET = "unix:"  # before the path of a socket, where others have an address
# Settings and secrets of ours and of the hub, which it does not need to read a folder; and the
# folder in which our processes count, where vLLM would count too.
WITHHELD = ("OCELLI_", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "PROMETHEUS_MULTIPROC_DIR")
SWITCHES = {
    "VLLM_NO_USAGE_STATS": "1",  # it tells its makers about the machine unless it is told not to
    "VLLM_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True, slots=True)
class VllmLaunch:
    """What to run, and how. ``context`` is in tokens, for each of the ``slots``; ``gpu_share`` is
    that of the graphics card's memory which vLLM takes, None leaves it to vLLM.
    """

    name: str
    program: str
    folder: str
    key: str
    slots: int
    context: int
    gpu_share: float | None = None
    thinks: bool = False
    start_timeout: float = START_TIMEOUT

    answers_while_dying: ClassVar[bool] = True
    command: ClassVar[tuple[str, ...]] = (
        sys.executable,
        "-m",
        "ocelli.backends.models.vllm_server",
    )

    @property
    def options(self) -> dict[str, int]:
        """What was chosen from the machine, or by its operator."""
        return {"slots": self.slots, "context": self.context}


def vllm_program() -> str | None:
    """Return the path of ``vllm``: beside this interpreter, or on the PATH; None without one."""
    beside = Path(sys.executable).parent / PROGRAM
    if os.access(beside, os.X_OK):
        return str(beside)
    return shutil.which(PROGRAM)


def arguments(launch: VllmLaunch, path: Path) -> list[str]:
    """Return the command line of a server that listens on the socket ``path``; no secret is in
    it.
    """
    found = [
        launch.program, "serve", launch.folder,
        "--served-model-name", launch.name,
        "--uds", str(path),
        "--max-model-len", str(launch.context),
        "--max-num-seqs", str(launch.slots),
        "--limit-mm-per-prompt", json.dumps({"image": MOST_PICTURES, "video": 0}),
        "--disable-uvicorn-access-log",
    ]  # fmt: skip
    if launch.gpu_share is not None:
        found += ["--gpu-memory-utilization", str(launch.gpu_share)]
    if launch.thinks:
        found += ["--default-chat-template-kwargs", json.dumps({"enable_thinking": False})]
    return found


def environment(given: Mapping[str, str], key: str) -> dict[str, str]:
    """Return what vLLM gets of the environment: the key, and nothing that is withheld."""
    kept = {name: value for name, value in given.items() if not name.startswith(WITHHELD)}
    return {**kept, **SWITCHES, "VLLM_API_KEY": key}


class Said:
    """The last lines of vLLM's log, and the first that names an error: the last one of a server
    whose engine failed says only that it did. No more is kept, as what vLLM says while it works
    may quote what it was asked.
    """

    def __init__(self) -> None:
        self._error: bytes | None = None
        self._last: deque[bytes] = deque(maxlen=LAST_LINES)

    def read(self, lines: Iterable[bytes]) -> None:
        """Read to the end."""
        for line in filter(None, map(bytes.strip, lines)):
            if self._error is None and b"Error: " in line:
                self._error = line
            self._last.append(line)

    def __str__(self) -> str:
        last = list(self._last.copy())
        first = [self._error] if self._error and self._error not in last else []
        lines = [line.decode(errors="replace")[:LONGEST_LINE] for line in [*first, *last]]
        return f"It said: {' | '.join(lines)}" if lines else ""


def main() -> None:
    """Run until vLLM ends, or the parent is gone."""
    protocol = os.dup(1)
    os.dup2(2, 1)
    launch = VllmLaunch(**json.loads(sys.stdin.readline()))
    os.nice(NICE)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="ocelli-vllm-") as folder:
        path = Path(folder) / "api.sock"
        vllm = subprocess.Popen(
            arguments(launch, path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(os.environ, launch.key),
            preexec_fn=end_with_parent,
        )
        assert vllm.stdout is not None
        said = Said()
        reading = threading.Thread(target=said.read, args=(vllm.stdout,), daemon=True)
        reading.start()
        threading.Thread(target=_end_with_input, args=(folder,), daemon=True).start()
        problem = _wait_until_ready(vllm, path, launch.start_timeout)
        if problem is not None:
            vllm.kill()
            vllm.wait()
            reading.join(timeout=1)
            answer = {"error": f"{problem} {said}".strip()}
        else:
            answer = {"address": f"{SOCKET}{path}"}
        os.write(protocol, f"{json.dumps(answer)}\n".encode())
        os.close(protocol)
        vllm.wait()
    os._exit(1)


def _end_with_input(folder: str) -> None:
    """End all of the group when standard input does: the parent has ended, or wants the end."""
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _wait_until_ready(vllm: subprocess.Popen[bytes], path: Path, seconds: float) -> str | None:
    """Wait until it answers; return what is wrong if it does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (code := vllm.poll()) is not None:
            return f"vLLM ended ({code}) before it answered."
        if _is_healthy(path):
            return None
        time.sleep(POLL)
    return f"vLLM did not answer within {seconds:g} seconds."


def _is_healthy(path: Path) -> bool:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(HEALTH_TIMEOUT)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    main()
