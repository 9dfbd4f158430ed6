"""Docstrings and comments name who does what: no "nobody", "whoever", and no "likewise".

    python -m tools.prose [FOLDER ...]

Prints each place, and fails if there is one. What is quoted as code (``nobody``) is a name.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VAGUE = re.compile(
    r"\b(nobody|somebody|whoever|everybody|anybody|no one|someone|likewise)\b", re.IGNORECASE
)
CODE = re.compile(r"``[^`]+``")


def docstrings(source: str) -> Iterator[ast.Constant]:
    """Yield each string that is a statement, so also those that describe attributes."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as text):
                yield text


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each comment."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of docstrings and comments, with their numbers, in order."""
    lines = source.splitlines()
    found = dict(comments(source))
    for text in docstrings(source):
        for number in range(text.lineno, (text.end_lineno or text.lineno) + 1):
            found[number] = lines[number - 1]
    yield from sorted(found.items())


def vague_words(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and word of each vague word."""
    for number, line in prose(source):
        for word in VAGUE.findall(CODE.sub("", line)):
            yield number, word


def main(folders: list[str]) -> int:
    """Print each place; return 1 if there is one."""
    found = 0
    for file in sorted(path for folder in folders for path in Path(folder).rglob("*.py")):
        for number, word in vague_words(file.read_text(encoding="utf-8")):
            print(f'{file}:{number}: "{word}": say which person, process or thing it is')
            found += 1
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["src"]))
