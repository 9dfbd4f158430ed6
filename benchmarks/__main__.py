"""``python -m benchmarks [NAME…] [--quick] [--json]``: exit code 1 if a claim misses its target."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import (
    analysis,
    bulk,
    chat,
    console,
    engine,
    fetching,
    meaning,
    polls,
    reads,
    search,
    sessions,
    small_uploads,
    throughput,
    uploads,
    verification,
)
from benchmarks.processes import Foreign, adopt_orphans
from benchmarks.report import Bench, Row, table

CLAIMS = {
    claim.NAME: claim.run
    for claim in (
        analysis,
        engine,
        verification,
        throughput,
        uploads,
        small_uploads,
        sessions,
        reads,
        polls,
        chat,
        console,
        search,
        meaning,
        fetching,
        bulk,
    )
}


def main() -> int:
    """Run the claims that are asked for, all by default."""
    wanted = _arguments()
    adopt_orphans()
    # Where it is set, each process would compile hundreds of modules again, ours and the others'.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    folder = Path(tempfile.mkdtemp(prefix="ocelli-bench-", dir=wanted.folder))
    folder.chmod(0o755)  # root's Postgres runs as another user
    bench = Bench(folder, wanted.quick, wanted.workers or cores or 1, wanted.large)
    rows: list[Row] = []
    try:
        for name in wanted.names or CLAIMS:
            started, foreign = time.monotonic(), Foreign()
            found: list[Row] = []
            for row in CLAIMS[name](bench):
                found.append(row)
                print(f"  {row.what}: {row.cells()[2]}", file=sys.stderr, flush=True)
            share = foreign.share()
            rows += [replace(row, foreign=share) for row in found]
            print(
                f"  done in {time.monotonic() - started:.0f} s; other programs took "
                f"{share:.0%} of the machine",
                file=sys.stderr,
                flush=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    machine = {"cpus": cores, "workers": bench.workers, "python": platform.python_version()}
    if wanted.json:
        answer = {"machine": machine, "quick": bench.quick, "rows": [row.as_dict() for row in rows]}
        print(json.dumps(answer, indent=2))
    else:
        print(table(rows))
    return 1 if any(row.verdict == "MISS" for row in rows) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*CLAIMS, []], metavar="NAME", help=", ".join(CLAIMS)
    )
    parser.add_argument("--quick", action="store_true", help="smaller and noisier, below 90 s")
    parser.add_argument(
        "--large", action="store_true", help="meaning: over a million vectors, an hour"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--workers", type=int, help="default: one per core")
    parser.add_argument(
        "--folder", type=Path, help="on the disk to measure; default: a temporary one"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
