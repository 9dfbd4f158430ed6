"""A bulk run that is killed with -9 at random: no row twice, none missing.

``python -m benchmarks.bulk_kills SOURCE OUT [--kills 5] [-- OPTION…]`` runs ``ocelli bulk``, kills
it so often, each time after some seconds of progress, and then lets it end. ``--stub`` runs without
models: see ``bulk_stub``.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def main() -> int:
    """Return 0 if each source has one row, and the command says so."""
    wanted = _arguments()
    module = ["benchmarks.bulk_stub"] if wanted.stub else ["ocelli", "bulk"]
    command = [sys.executable, "-m", *module, wanted.source, str(wanted.out), *wanted.options]
    for number in range(wanted.kills):
        before, pause = held(wanted.out), random.uniform(*wanted.pause)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while sum(held(wanted.out).values()) == sum(before.values()) and process.poll() is None:
            time.sleep(0.5)  # it loads its models
        time.sleep(pause)
        process.kill()
        process.wait()
        found = held(wanted.out)
        rows, twice = sum(found.values()), sum(n > 1 for n in found.values())
        print(f"kill {number + 1} after {pause:.1f} s: {rows:,} rows, {twice} twice", flush=True)
    done = subprocess.run(command, check=False)
    found = held(wanted.out)
    expected = {str(path) for path in Path(wanted.source).rglob("*.jpg")}
    twice = sum(n > 1 for n in found.values())
    missing, strange = len(expected - found.keys()), len(found.keys() - expected)
    print(f"{sum(found.values()):,} rows; {twice} twice, {missing} missing, {strange} unexpected")
    return 1 if done.returncode or twice or missing or strange else 0


def held(out: Path) -> Counter[str]:
    """The sources in the shards, and how many rows each has."""
    if not out.exists() or not list(out.glob("*.parquet")):
        return Counter()
    column: list[Any] = pq.read_table(out, columns=["source"])["source"].to_pylist()
    return Counter(column)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bulk_kills",
        description=__doc__,
        epilog="Options of `ocelli bulk` stand behind `--`.",
    )
    parser.add_argument("source", help="a folder of .jpg files")
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--pause", type=float, nargs=2, default=(1.0, 8.0), metavar="SECONDS")
    parser.add_argument("--stub", action="store_true")
    # Not an argument of ours: argparse takes what follows `--` only right behind the other names.
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    wanted = parser.parse_args(words[:end])
    wanted.options = words[end + 1 :]
    return wanted


if __name__ == "__main__":
    sys.exit(main())
