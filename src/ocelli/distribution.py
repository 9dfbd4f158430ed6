"""The distribution that this package is installed from.

On the package index the name `ocelli` belongs to another project, and the import package `aion` is
in others too. What people are told to install is named here alone.
"""

from __future__ import annotations

from pathlib import Path

NAME = "ocelli-vision"
PACKAGES = ("aion", "ocelli")  # import packages


def pip_install(*extras: str, force: bool = False) -> str:
    """Return the command that installs the distribution with these extras.

    >>> pip_install("server", "vlm")
    "pip install 'ocelli-vision[server,vlm]'"
    """
    reinstall = "--force-reinstall " if force else ""
    return f"pip install {reinstall}'{NAME}[{','.join(extras)}]'"


def conflicting_distributions() -> dict[str, list[str]]:
    """Return our import packages that other distributions provide too: package → their names.

    Two of them in one environment overwrite each other's files.
    """
    import re
    from importlib.metadata import distributions

    # Its own `packages_distributions` takes a path of each line, for 0.5 s.
    line = re.compile(rf"^({'|'.join(PACKAGES)})(?:/|\.py,|$)", re.MULTILINE)
    found: dict[str, set[str]] = {}
    for each in distributions():
        for listing in ("top_level.txt", "RECORD"):
            for package in line.findall(each.read_text(listing) or ""):
                found.setdefault(package, set()).add(each.name)
    others = {package: sorted(names - {NAME}) for package, names in found.items()}
    return {package: names for package, names in others.items() if names}


def shadowed_packages() -> dict[str, str]:
    """Return our import packages that are imported from another folder: package → that folder."""
    from importlib.util import find_spec

    ours = Path(__file__).parent.parent
    found = {}
    for name in PACKAGES:
        spec = find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        if spec is not None and not any(Path(each).parent.samefile(ours) for each in places):
            found[name] = places[0] if places else str(spec.origin)
    return found
