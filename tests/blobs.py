"""Files for stores, and what the system is asked to do with them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ocelli.media.blob_writer import BlobWriter


def a_blob(folder: Path, data: bytes) -> BlobWriter:
    blob = BlobWriter(folder)
    blob.write(data)
    blob.close()
    return blob


def record_steps(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[str]:
    """The calls that decide what a power failure leaves of the folder store ``root``, in order.

    A file is lost that was not synced before it got its name, and a name whose folder was not
    synced after it. A file that is still on its way is called ``new``.
    """
    steps: list[str] = []
    opened: dict[int, Path] = {}

    def name(path: Any) -> str:
        inside = Path(path).relative_to(root)
        if inside.parts[0:1] == (".staging",):
            return f"new({Path(path).stat().st_size})"
        return str(inside)

    def watch(call: str, describe: Any) -> None:
        real = getattr(os, call)

        def watched(*arguments: Any, **options: Any) -> Any:
            step = describe(*arguments)
            result = real(*arguments, **options)
            steps.append(step)
            return result

        monkeypatch.setattr(os, call, watched)

    real_open = os.open

    def remember(path: Any, *arguments: Any) -> int:
        descriptor = real_open(path, *arguments)
        opened[descriptor] = Path(path)
        return descriptor

    monkeypatch.setattr(os, "open", remember)
    watch("fsync", lambda descriptor: f"fsync {name(opened[descriptor])}")
    watch("mkdir", lambda path, *_: f"mkdir {name(path)}")
    watch("unlink", lambda path, *_: f"unlink {name(path)}")
    for call in ("rename", "replace", "link"):
        watch(call, lambda source, to, *_, call=call: f"{call} {name(source)} {name(to)}")
    return steps
