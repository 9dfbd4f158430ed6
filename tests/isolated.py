"""Work for child processes of ocelli.media.isolation, which import it from here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.media import isolation

MEGABYTE = 1024 * 1024


def fill(data: bytes, size: int) -> int:
    return len(np.ones(size, np.uint8)) + len(data)


def hang(data: bytes, forever: bool) -> int:
    while forever:
        pass
    return len(data)


def die(data: bytes, number: int) -> None:
    os.kill(os.getpid(), number)


def count(data: bytes, most: int) -> Iterator[int]:
    for n in range(most):
        if data == b"fail" and n == 2:
            raise AnalysisFailed(FailureType.VALIDATION, "two", retryable=False)
        yield n


def pid(data: bytes) -> int:
    return os.getpid()


def call(work: Any, *args: Any, data: bytes = b"", **options: Any) -> Any:
    return isolation.run(work, data, *args, **{"memory": MEGABYTE, **options})
