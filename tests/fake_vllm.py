"""A program with the command line, the routes and the deaths of ``vllm serve``.

Files in the folder ``FAKE_VLLM`` say how it behaves: ``dies`` at its start, ``silent``: it never
gets ready. ``log`` there gets a line for each start and each request. It dies of a request with
``deadly`` in it as vLLM does: the answer is a failure, ``/health`` too, then it ends. It has a
child of its own, as vLLM has: ``engine`` there has its number.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

FOLDER = Path(os.environ["FAKE_VLLM"])
KEY = os.environ["VLLM_API_KEY"]


def note(line: str) -> None:
    with (FOLDER / "log").open("a") as file:
        file.write(f"{line}\n")


def parsed() -> argparse.Namespace:
    """The options are of the types that vLLM 0.33 gives them; an unknown one ends the program."""
    parser = argparse.ArgumentParser(prog="vllm", allow_abbrev=False)
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model_tag", type=Path)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--uds", required=True)
    parser.add_argument("--max-model-len", type=int, required=True)
    parser.add_argument("--max-num-seqs", type=int, required=True)
    parser.add_argument("--limit-mm-per-prompt", type=json.loads, required=True)
    parser.add_argument("--gpu-memory-utilization", type=float)
    parser.add_argument("--default-chat-template-kwargs", type=json.loads)
    parser.add_argument("--disable-uvicorn-access-log", action="store_true")
    return parser.parse_args()


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    is_well = True


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            is_well = self.server.is_well and not (FOLDER / "silent").exists()
            try:
                self.answer(200 if is_well else 503, {})
            finally:  # the status may have been enough for who asked
                if not self.server.is_well:
                    os._exit(1)
        elif self.path == "/v1/models" and self.knows():
            self.answer(200, {"data": [{"id": NAME}]})
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if not self.knows() or json.loads(body)["model"] != NAME:
            self.answer(401, {})
            return
        asked = json.loads(body)["messages"][-1]["content"]
        note(next(part["text"] for part in asked if part["type"] == "text"))
        if "deadly" in body:
            self.server.is_well = False
            self.answer(500, {"error": {"message": "EngineCore encountered an issue."}})
            return
        usage = {"prompt_tokens": 5, "completion_tokens": 7}
        message = {"role": "assistant", "content": "a cup"}
        self.answer(200, {"choices": [{"message": message}], "usage": usage})

    def knows(self) -> bool:
        return self.headers["Authorization"] == f"Bearer {KEY}"

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


options = parsed()
NAME = options.served_model_name
loaded = {each.name for each in options.model_tag.iterdir()}
assert {"config.json", "model.safetensors"} <= loaded, loaded
environment = {
    name: value
    for name, value in os.environ.items()
    if name.startswith(("OCELLI_", "HF_", "VLLM_", "DO_NOT"))
}
(FOLDER / "started.json").write_text(json.dumps({"argv": sys.argv[1:], "env": environment}))
note("start")
if (FOLDER / "dies").exists():
    print("(EngineCore pid=7) ValueError: Free memory on device is less than desired", flush=True)
    for number in range(9):
        print(f"  a line of the traceback, {number}")
    sys.exit("RuntimeError: Engine core initialization failed. See root cause above.")
engine = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
(FOLDER / "engine").write_text(str(engine.pid))
with Server(options.uds, Handler) as server:
    server.serve_forever()
