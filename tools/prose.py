"""Docstrings name who does what: no "nobody", "somebody", "whoever", "everybody".

    python -m tools.prose [FOLDER ...]

Prints each place, and fails if there is one. What is quoted as code (``nobody``) is a name.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VAGUE = re.compile(r"\b(nobody|somebody|whoever|everybody|anybody)\b", re.IGNORECASE)
CODE = re.compile(r"``[^`]+``")


def docstrings(source: str) -> Iterator[ast.Constant]:
    """Every string that stands as a statement, so also those that describe attributes."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as text):
                yield text


def vague_words(source: str) -> Iterator[tuple[int, str]]:
    """The line and the word of each."""
    lines = source.splitlines()
    for text in docstrings(source):
        for number in range(text.lineno, (text.end_lineno or text.lineno) + 1):
            for word in VAGUE.findall(CODE.sub("", lines[number - 1])):
                yield number, word


def main(folders: list[str]) -> int:
    """1 if there is such a word."""
    found = 0
    for file in sorted(path for folder in folders for path in Path(folder).rglob("*.py")):
        for number, word in vague_words(file.read_text(encoding="utf-8")):
            print(f'{file}:{number}: "{word}": say which person, process or part it is')
            found += 1
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["src"]))
