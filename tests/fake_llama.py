"""A process with the protocol of ocelli.backends.models.llama_server that dies of some pictures.

``LOG`` gets a line for each start and each request. A request whose text has ``wait`` is answered
once the file ``GO`` exists.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])
launch = json.loads(sys.stdin.readline())


def note(line: str) -> None:
    with (FOLDER / "log").open("a") as file:
        file.write(f"{line}\n")


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert self.headers["Authorization"] == f"Bearer {launch['key']}"
        note(json.loads(body)["messages"][0]["content"][0]["text"])
        if "deadly" in body:
            os._exit(11)
        while "wait" in body and not (FOLDER / "go").exists():
            time.sleep(0.01)
        answer = b'{"choices": [], "timings": {"predicted_n": 7, "predicted_per_second": 12.5}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


if (FOLDER / "broken").exists():
    sys.stderr.write("model error: invalid magic\n")
    print(json.dumps({"error": "it cannot be loaded."}), flush=True)
    sys.exit(1)
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
note("start")
print(json.dumps({"address": f"http://127.0.0.1:{server.server_port}"}), flush=True)
sys.stdin.read()
