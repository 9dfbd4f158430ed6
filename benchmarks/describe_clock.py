"""``ocelli describe FOLDER`` with a stop watch: when did each picture come back?"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ocelli.cli.describe import expand, run
from ocelli.domain.analysis import VerificationLevel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocelli.cli.describer import DescribedFile


def main(folder: str, workers: int) -> None:
    """Print the times (monotonic clock) as JSON."""
    finished: list[float] = []
    analysing: list[float] = []
    failed: list[str] = []

    def show(results: Iterator[DescribedFile], total: int) -> None:
        del total
        for result in results:
            finished.append(time.monotonic())
            if result.failed:
                failed.append(f"{result.path.name}: {result.error}")
            else:
                analysing.append(result.milliseconds or 0.0)

    run(list(expand([Path(folder)])), show, VerificationLevel.QUICK, workers=workers)
    print(json.dumps({"finished": finished, "analysing": analysing, "failed": failed}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
