"""The pages of the documentation, which the wheel carries: for ``ocelli docs`` and the server."""

from __future__ import annotations

import re
from pathlib import Path

CARRIED = Path(__file__).with_name("docs")
CHECKOUT = Path(__file__).parents[2] / "docs"

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n\s*", re.DOTALL)
_CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LABEL = re.compile(r"\*\*[^*]+\*\*\s*")
_NO_PROSE = ("#", "|", "- ", "* ", "!", "<", "Generated ")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_LONGEST = 200  # characters of a summary


def pages() -> dict[str, Path]:
    """Return the pages by name: ``settings``, ``sdk/quick-start``; decisions come last."""
    folder = CARRIED if CARRIED.is_dir() else CHECKOUT
    names = (each.relative_to(folder).with_suffix("").as_posix() for each in folder.rglob("*.md"))
    ordered = sorted(names, key=lambda name: (name.startswith("decisions/"), "/" in name, name))
    return {name: folder / f"{name}.md" for name in ordered}


def title(page: str) -> str:
    """Return the title of a page's text.

    >>> title("# A page" + chr(10) + "Its text.")
    'A page'
    """
    return next(iter(_FRONT_MATTER.sub("", page).splitlines()), "").lstrip("# ").rstrip()


def summary(page: str) -> str:
    r"""Return the first sentence of a page's text, without links; empty if there is none.

    >>> summary("# A page\n\nIt says [much](x.md) in\ntwo lines. And more.")
    'It says much in two lines.'
    """
    for block in _CODE.sub("", _FRONT_MATTER.sub("", page)).split("\n\n"):
        if block.strip() and not block.lstrip().startswith(_NO_PROSE):
            line = _LABEL.sub("", _LINK.sub(r"\1", " ".join(block.split())), count=1)
            sentence = re.split(r"(?<=[.:])\s", line, maxsplit=1)[0]
            return sentence if len(sentence) <= _LONGEST else f"{sentence[:_LONGEST].rstrip()}…"
    return ""
