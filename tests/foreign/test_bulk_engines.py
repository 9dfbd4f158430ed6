"""Bulk runs on the engines of others: the same rows, and nothing that reports home.

They are in neither the lock nor what CI installs: ``make test-engines`` runs these tests.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ocelli.bulk.engines.ray import QUIET
from tests.integration.test_bulk import account, rows, start
from tests.integration.test_no_calls_home import Watched
from tests.integration.test_no_calls_home import library as library
from tests.integration.test_no_calls_home import watched as watched
from tests.waiting import PATIENCE, until

# What Ray does whatever is set: it looks up this machine, finds its address by a socket that sends
# nothing, and a node asks the clouds' metadata address where it is. See docs/bulk.md.
OF_RAY = (
    "connect 8.8.8.8 53",
    "connect 2001:4860:4860::8888 53",
    "connect 169.254.169.254 80",
    "look-up metadata.google.internal ",
    f"look-up {socket.gethostname()} ",
)

CLUSTER = """
import sys
from ray.cluster_utils import Cluster
store = {"object_store_memory": 100 * 1024 * 1024, "node_ip_address": "127.0.0.1"}
cluster = Cluster(
    initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **store}
)
nodes = [cluster.add_node(num_cpus=1, **store) for _ in range(2)]
print(cluster.address, flush=True)
for _ in sys.stdin:
    cluster.remove_node(nodes.pop(), allow_graceful=False)
cluster.shutdown()
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number:03}.jpg").write_text("same" if number % 10 == 3 else f"{number}")
    return folder


@pytest.fixture
def cluster(watched: Watched) -> Iterator[subprocess.Popen[str]]:
    pytest.importorskip("ray", reason="make test-engines")
    process = subprocess.Popen(
        (sys.executable, "-c", CLUSTER),
        env={**watched.environment, **QUIET},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()


def check(out: Path, found: dict[str, object]) -> None:
    assert (found["seen"], found["done"], found["duplicate"]) == (400, 361, 39)
    held = pq.read_table(out, columns=["source"])["source"].to_pylist()
    assert Counter(held).most_common(1)[0][1] == 1


def test_daft(watched: Watched, pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("daft", reason="make test-engines")
    out = tmp_path / "out"
    options = ("--json", "--engine", "daft", "--workers", "2")
    found = account(start(pictures, out, *options, "--limit", "100", **watched.environment))
    assert (found["rows_of_this_run"], found["stopped_by"]) == (100, "limit")
    check(out, account(start(pictures, out, *options, **watched.environment)))
    assert (watched.seen(), watched.left()) == ([], [])


def test_a_cluster_of_three_nodes_one_of_which_is_killed(
    cluster: subprocess.Popen[str], watched: Watched, pictures: Path, tmp_path: Path
) -> None:
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    address = cluster.stdout.readline().strip()
    out = tmp_path / "out"
    options = ("--json", "--engine", "ray", "--address", address)
    eager = {"OCELLI_BULK_SHARD_SECONDS": "0.05", "OCELLI_STUB_SECONDS": "0.3"}
    process = start(pictures, out, *options, **watched.environment, **eager)
    until(lambda: process.poll() is not None or (list(out.glob("*.parquet")) and rows(out)))
    cluster.stdin.write("kill\n")
    cluster.stdin.flush()
    check(out, account(process))
    assert [line for line in watched.seen() if not line.startswith(OF_RAY)] == []


def test_what_is_not_installed_is_named(tmp_path: Path, pictures: Path) -> None:
    hidden = "import sys; sys.modules['ray'] = None; from benchmarks import bulk_stub; "
    code = f"{hidden}bulk_stub.main(sys.argv[1:])"
    command = (sys.executable, "-c", code, str(pictures), str(tmp_path / "out"), "--engine", "ray")
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 3, done.stderr
    assert "[server,bulk,ray]" in done.stderr
