"""What the documentation says exists, exists."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from docs.generate import TARGET, settings_reference

from docs import permissions, skill
from ocelli.backends.local.model_files import models
from ocelli.cli.main import app
from ocelli.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LONGEST_RECORD = 40

FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"(?:`|<code>)ocelli ([^`<\n]+)(?:`|</code>)")
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
VARIABLE = re.compile(r"\bOCELLI_[A-Z_]+\b")
ASSIGNMENT = re.compile(r"[A-Z_]+=")
INDEX_HOST = re.compile(r"pypi\.org|pythonhosted\.org|anaconda\.org|--(?:extra-)?index-url")
FOREIGN_INSTALL = re.compile(r"(?<![\w-])ocelli\\?\[\w|pip install ['\"]?ocelli\b(?!-)")
ABOUT_THE_NAME = "docs/decisions/0039-name-of-the-distribution.md"
MACHINE_PATH = re.compile(r"(?<![\w.~])/(?:work|root|home|Users)/\w")


def test_the_table_of_permissions_is_up_to_date() -> None:
    found = permissions.TARGET.read_text(encoding="utf-8")
    assert found == permissions.permissions_reference(), "python -m docs.permissions"


def test_the_settings_reference_is_up_to_date() -> None:
    assert TARGET.read_text(encoding="utf-8") == settings_reference(), "python -m docs.generate"


def test_the_skill_is_up_to_date() -> None:
    assert skill.TARGET.read_text(encoding="utf-8") == skill.skill(), "python -m docs.skill"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    wrong = [problem for words in commands(page, "ocelli") if (problem := cli_problem(words))]
    assert not wrong


def test_commands_that_messages_and_the_console_name_exist() -> None:
    found: dict[str, str] = {}
    for file in [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.html")]:
        for command in NAMED.findall(file.read_text(encoding="utf-8")):
            # A value that is put in, or the end of the text's line.
            words = re.sub(r"\{+[^}]*\}+|\\?[\"'].*", "x", command).split()
            if problem := cli_problem([word for word in words if word != "..."]):
                found[f"{file.name}: ocelli {command}"] = problem
    assert found == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_and_variables_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+)\s*[:?]?=", makefile, re.MULTILINE))
    for words in commands(page, "make"):
        for word in words:
            name, assigned, _ = word.partition("=")
            assert name in (variables if assigned else targets), f"make {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_exist(page: Path) -> None:
    known = {f"OCELLI_{name.upper()}" for name in Settings.model_fields}
    assert set(VARIABLE.findall(page.read_text(encoding="utf-8"))) <= {*known, "OCELLI_"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in local if link and not (page.parent / link).is_file()] == []


def test_pages_named_in_the_source_exist() -> None:
    named = {
        name
        for file in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"\bdocs/[\w/.-]+\.md\b", file.read_text(encoding="utf-8"))
    }
    assert named, "the source names decisions"
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_python_in_the_readme_imports_what_exists() -> None:
    blocks = [code for language, code in fenced(ROOT / "README.md") if language == "python"]
    assert blocks
    for node in (node for code in blocks for node in ast.walk(ast.parse(code))):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_notice_names_every_model_with_its_pin() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    paragraphs = notice.split("\n\n")
    for model in models():
        about = [text for text in paragraphs if text.startswith(f"{model.title}\n")]
        assert len(about) == 1, model.title
        expected = [model.origin, model.licence, *(file.sha256 for file in model.files)]
        assert [each for each in expected if each not in about[0]] == []


def test_files_named_in_notice_exist() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    named = re.findall(r"\bsrc/[\w/.-]+\w", notice)
    assert any(name.endswith("LICENSE.txt") for name in named), "the carried licence"
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_decisions_are_numbered_and_short() -> None:
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [record.name[:4] for record in records]
    assert len(set(numbers)) == len(numbers)
    for number, record in zip(numbers, records, strict=True):
        lines = record.read_text(encoding="utf-8").splitlines()
        assert re.fullmatch(r"\d{4}-[\w-]+\.md", record.name)
        assert lines[0].startswith(f"# {number} ")
        assert len(lines) <= LONGEST_RECORD, record.name


def test_no_index_hosts_and_no_paths_of_a_machine() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in tracked_files()
        if (text := text_of(file)) is not None
        for pattern in (INDEX_HOST, MACHINE_PATH)
        for match in pattern.finditer(text)
    ]
    assert found == []


def test_nothing_says_to_install_the_distribution_of_others() -> None:
    """On the index `ocelli` is another project: ours is `ocelli-vision`."""
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in tracked_files()
        if file.suffix in (".md", ".py", ".toml", ".json", "") and file != ROOT / ABOUT_THE_NAME
        for match in FOREIGN_INSTALL.finditer(text_of(file) or "")
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "frob",
        "serve --prot 1",
        "serve somewhere",
        "keys make",
        "describe --data x photo.jpg",
    ],
)
def test_the_checker_finds_what_is_wrong(line: str) -> None:
    assert cli_problem(line.split()) is not None


@pytest.mark.parametrize("line", ["", "--version", "serve --port=1", "keys revoke x", "doctor -h"])
def test_the_checker_accepts_what_is_right(line: str) -> None:
    assert cli_problem(line.split()) is None


def fenced(page: Path) -> list[tuple[str, str]]:
    """Language and content of the fenced blocks."""
    return FENCED.findall(page.read_text(encoding="utf-8"))


def commands(page: Path, program: str) -> list[list[str]]:
    """The words after ``program``, wherever a block's line or inline code calls it."""
    text = page.read_text(encoding="utf-8")
    shell = [block for language, block in fenced(page) if language in ("", "sh", "bash", "console")]
    lines = "\n".join(shell).replace("\\\n", " ").splitlines()
    found = []
    for line in [*lines, *INLINE.findall(FENCED.sub("", text))]:
        if program not in line:
            continue
        words = shlex.split(line, comments=True)
        while words and ASSIGNMENT.match(words[0]):
            del words[0]
        if words and words[0] == program:
            found.append(words[1:])
    return found


@cache
def command_line() -> Any:
    return typer.main.get_command(app)


def cli_problem(words: list[str]) -> str | None:
    """Why the command line would refuse these words, as far as names go."""
    command: Any = command_line()
    rest = list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    options = {"-h": True, "--help": True}
    takes_arguments = False
    for parameter in command.params:
        takes_arguments |= parameter.param_type_name == "argument"
        for name in (*parameter.opts, *parameter.secondary_opts):
            options[name] = bool(getattr(parameter, "is_flag", False))
    while rest:
        word, assigned, _ = rest.pop(0).partition("=")
        if word.startswith("-"):
            if word not in options:
                return f"no option {word}: ocelli {' '.join(words)}"
            if not assigned and not options[word]:
                del rest[:1]
        elif not takes_arguments:
            return f"no command or argument {word}: ocelli {' '.join(words)}"
    return None


def tracked_files() -> list[Path]:
    """What git has, or is about to have."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    files = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    return [file for file in files if file.is_file()]


def text_of(file: Path) -> str | None:
    """None if it is no text."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
