"""``ocelli`` and ``python -m ocelli``.

The process of ``ocelli describe`` that will look is started before all else: it imports the models
while the command line, which takes as long, is made in this one.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from ocelli.cli.describer_process import DescriberProcess


def main() -> None:
    """Run the command line."""
    with _describer(sys.argv[1:]) as first:
        from ocelli.cli.main import main as run

        run(first)


def _describer(arguments: Sequence[str]) -> AbstractContextManager[DescriberProcess | None]:
    if arguments[:1] != ["describe"] or {"-h", "--help"} & {*arguments}:
        return nullcontext()
    from ocelli.cli.describer_process import DescriberProcess

    return DescriberProcess()


if __name__ == "__main__":
    main()
