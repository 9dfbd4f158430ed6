"""Lay out the pages of the documentation for MkDocs, which ``make docs`` then runs.

    python -m tools.docs_site FOLDER CONFIG

Copies the pages as they lie in the checkout, so that their links hold, with the files that they
lead to; adds the references of HTTP, commands and errors, which are made from the program; and
writes the configuration with all pages in it: those that mkdocs.yml does not list are guides.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import typer
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    from ocelli.api.services import Services

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
REFERENCES = "docs/reference"
METHODS = ("get", "post", "put", "patch", "delete")


def lay_out(target: Path, config: Path) -> None:
    """Write the pages into ``target``, and the configuration."""
    shutil.rmtree(target, ignore_errors=True)
    pages = sorted({page for pattern in PAGES for page in ROOT.glob(pattern)})
    for page in pages:
        copy(page, target)
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" not in link and (found := (page.parent / link).resolve()).is_file():
                copy(found, target)
    for script in ROOT.glob("docs/site/*.js"):
        copy(script, target)
    references = {"http": http(), "commands": commands(), "errors": errors()}
    for name, text in references.items():
        made = target / REFERENCES / f"{name}.md"
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(text, encoding="utf-8")
    names = [page.relative_to(ROOT).as_posix() for page in pages]
    settings: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    settings["docs_dir"] = str(target.resolve())
    settings["site_dir"] = str(target.resolve().parent / "site")
    complete(settings["nav"], names)
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def copy(file: Path, target: Path) -> None:
    """Copy a file of the checkout to its place below ``target``."""
    place = target / file.relative_to(ROOT)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, place)


def complete(nav: list[dict[str, list[Any]]], names: list[str]) -> None:
    """Add the pages that are not listed: decisions to Explanation, all others to Guides."""
    sections = {title: pages for each in nav for title, pages in each.items()}
    listed = {page for pages in sections.values() for page in pages}
    left = [name for name in names if name not in listed]
    decisions = [name for name in left if "/decisions/" in name]
    sections["Guides"] += [name for name in left if name not in decisions]
    sections["Explanation"].append({"Decisions": decisions})


# ---------------------------------------------------------------------------------------------
# HTTP


def http() -> str:
    """Return the reference of the HTTP API, made from its OpenAPI document."""
    from ocelli.api.app import create_app

    services = cast("Services", SimpleNamespace(prefix="", public_url=None))  # nothing is served
    by_tag: dict[str, list[str]] = defaultdict(list)
    for path, item in create_app(services).openapi()["paths"].items():
        for method in METHODS:
            if operation := item.get(method):
                tag = (operation.get("tags") or ["others"])[0]
                by_tag[tag].append("\n\n".join(_operation(method, path, operation)))
    sections = "\n\n".join(f"## {tag}\n\n" + "\n\n".join(each) for tag, each in by_tag.items())
    head = (
        "# HTTP\n\nMade from the OpenAPI document, which a server has at `/openapi.json`, and for "
        "trying it out at `/docs`.\n\n"
    )
    return head + sections + "\n"


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`"
    yield "\n\n".join(filter(None, (operation.get("summary"), operation.get("description"))))
    if parameters := [_parameter(each) for each in operation.get("parameters", ())]:
        yield "| parameter | in | type | meaning |\n|---|---|---|---|\n" + "\n".join(parameters)
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body: `{kind}`, {_type(body.get('schema', {}))}"
    answers = [_answer(status, each) for status, each in operation.get("responses", {}).items()]
    yield "| status | answer |\n|---|---|\n" + "\n".join(answers)


def _parameter(parameter: dict[str, Any]) -> str:
    star = " (required)" if parameter.get("required") else ""
    schema = parameter.get("schema", {})
    meaning = _cell(parameter.get("description") or schema.get("description") or "")
    return f"| `{parameter['name']}`{star} | {parameter['in']} | {_type(schema)} | {meaning} |"


def _answer(status: str, answer: dict[str, Any]) -> str:
    shapes = {_type(each.get("schema", {})) for each in answer.get("content", {}).values()}
    shape = ", ".join(sorted(filter(None, shapes)))
    return f"| {status} | {_cell(answer.get('description', ''))} {shape} |"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(filter(None, map(_type, options))))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    return str(schema.get("type", ""))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# ---------------------------------------------------------------------------------------------
# Commands and errors


def commands() -> str:
    """Return the reference of the command line, made from its commands."""
    from ocelli.cli.main import app

    sections = "\n\n".join(_command("ocelli", typer.main.get_command(app)))
    head = (
        "# Commands\n\nEach has `--help`. Exit codes: 0 done, 1 something failed, 2 wrong use, "
        "3 cannot run here."
    )
    return f"{head}\n\n{sections}\n"


def _command(name: str, command: Any) -> Iterator[str]:
    inner: dict[str, click.Command] = getattr(command, "commands", {})
    for each in sorted(inner):
        yield from _command(f"{name} {each}", inner[each])
    if inner:
        return
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    words = "".join(f" {(each.metavar or each.name.upper()).strip('{}')}" for each in arguments)
    yield f"## `{name}{words}`"
    yield command.help or ""
    rows = [_option(each) for each in command.params if each.name != "help"]
    if rows:
        yield "| option | meaning |\n|---|---|\n" + "\n".join(rows)


def _option(option: Any) -> str:
    names = [*option.opts, *option.secondary_opts]
    shown = names if option.param_type_name == "option" else [option.metavar or option.name.upper()]
    about = _cell(getattr(option, "help", "") or "")
    return f"| {', '.join(f'`{each}`' for each in shown)} | {about} |"


def errors() -> str:
    """Return the errors of ``/api/v2``: code, status, and what each is about."""
    from ocelli.domain.errors import OcelliError

    def all_of(kind: type[OcelliError]) -> Iterator[type[OcelliError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from all_of(each)

    known: dict[str, tuple[int, bool, str]] = {}
    for kind in all_of(OcelliError):
        about = (kind.__doc__ or "").strip().partition("\n\n")[0]
        known.setdefault(kind.code, (kind.status, kind.retryable, about))
    rows = "\n".join(
        f"| `{code}` | {status} | {'yes' if retryable else 'no'} | {_cell(about)} |"
        for code, (status, retryable, about) in sorted(known.items())
    )
    return (
        '# Errors\n\n`{"error": {"code", "message", "details"}, "request_id"}` on `/api/v2`. The '
        "other surfaces have shapes of their own: their pages tell. Of the SDK: "
        "[reference](../sdk/reference.md#errors).\n\n"
        f"| code | status | again? | meaning |\n|---|---|---|---|\n{rows}\n"
    )


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]), Path(sys.argv[2]))
