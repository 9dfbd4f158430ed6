"""``ocelli``: commands for people (rich) and for programs (``--json``).

Exit codes: 0 done, 1 something failed (a picture, a check), 2 wrong use, 3 cannot run here.
Nothing heavy is imported before a command needs it: ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ocelli.cli.commands import (
    installation,
    library,
    local,
    models,
    policies,
    system,
    tenants,
    vocabularies,
)
from ocelli.cli.output import CANNOT_RUN, PRIVATE, fail
from ocelli.distribution import (
    PACKAGES,
    conflicting_distributions,
    pip_install,
    shadowed_packages,
)

if TYPE_CHECKING:
    from ocelli.cli.describer_process import DescriberProcess

# What to install for commands whose libraries a server does not need, by import package.
EXTRAS = {
    "pyarrow": ("bulk",),
    "boto3": ("s3",),
    "daft": ("bulk", "daft"),
    "ray": ("bulk", "ray"),
}
app = typer.Typer(
    name="ocelli",
    help="Image understanding on your own machine: descriptions, tags, visible text, "
    "colours, faces, safety.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(system.commands)
app.add_typer(models.commands, name="models", rich_help_panel=system.PANEL)
app.add_typer(local.commands)
app.add_typer(library.commands)
app.add_typer(vocabularies.commands, name="vocab", rich_help_panel=library.PANEL)
app.add_typer(policies.commands, name="policy", rich_help_panel=library.PANEL)
app.add_typer(tenants.tenants, name="tenants", rich_help_panel=installation.PANEL)
app.add_typer(tenants.keys, name="keys", rich_help_panel=installation.PANEL)
app.add_typer(tenants.credits, name="credits", rich_help_panel=installation.PANEL)
app.add_typer(installation.commands)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from ocelli import __version__

        typer.echo(__version__)
        raise typer.Exit


def main(first: DescriberProcess | None = None) -> None:
    """Run the command line, whose ``describe`` uses the process ``first`` that has been started.

    Files that it and its children write are private to their user.
    """
    os.umask(PRIVATE)
    try:
        app(obj=first)
    except ImportError as error:
        package = (error.name or "").split(".")[0]
        if package in PACKAGES and (conflicting_distributions() or shadowed_packages()):
            fail(f"Another package {package} is in the place of ours: {error}", "ocelli doctor")
        elif package not in PACKAGES and isinstance(error, ModuleNotFoundError):
            extras = EXTRAS.get(package, ())
            libraries = "other libraries" if extras else "the server's libraries"
            fail(
                f"This command needs {libraries} ({error.name} is missing).",
                pip_install("server", *extras),
            )
        else:
            raise
        sys.exit(CANNOT_RUN)
