"""The software bill of materials (CycloneDX) that the wheel carries, as PEP 770 has it.

    python -m release.sbom

Writes what ``ocelli-vision[server,s3,video]`` installs, with the versions of ``requirements.lock``
and the licences that the installed distributions state, and what the wheel carries of others.
Run in ``.venv``, on Linux. The same lock gives the same bytes.
"""

from __future__ import annotations

import json
import uuid
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ocelli.backends.local.model_files import ModelInfo, models
from ocelli.distribution import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = Path(__file__).with_name(f"{NAME}.cdx.json")
EXTRAS = frozenset({"server", "s3", "video"})
CARRIED = (
    Component(
        name="htmx.org",
        version="4.0.1",
        type=ComponentType.LIBRARY,
        bom_ref="htmx.org",
        purl=PackageURL("npm", name="htmx.org", version="4.0.1"),
        licenses=[LicenseFactory().make_from_string("0BSD")],
    ),
)


def bill_of_materials() -> str:
    """Return the document as JSON."""
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, NAME))
    own = distribution(NAME)
    root = Component(
        name=NAME,
        version=own.version,
        type=ComponentType.APPLICATION,
        bom_ref=NAME,
        purl=PackageURL("pypi", name=NAME, version=own.version),
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )
    bom.metadata.component = root
    found = {NAME: root}
    _add(bom, own, EXTRAS, found)
    weights = [_weights(model) for model in models()]
    for component in (*CARRIED, *weights):
        bom.components.add(component)
    by_package = {model.package: weight for model, weight in zip(models(), weights, strict=True)}
    bom.register_dependency(root, [*CARRIED])
    for package, weight in by_package.items():
        bom.register_dependency(found[canonicalize_name(package)], [weight])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]  # the lock says it all
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _add(
    bom: Bom, parent: Distribution, extras: frozenset[str], found: dict[str, Component]
) -> None:
    """Add what ``parent`` asks for, with what that asks for."""
    needed = []
    for requirement in _requirements(parent, extras):
        name = canonicalize_name(requirement.name)
        if name not in found:
            child = distribution(name)
            found[name] = _library(child)
            bom.components.add(found[name])
            _add(bom, child, frozenset(requirement.extras), found)
        needed.append(found[name])
    bom.register_dependency(found[canonicalize_name(parent.name)], needed)


def _requirements(parent: Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, parent.requires or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": each}) for each in (*extras, "")):
            yield requirement


def _library(found: Distribution) -> Component:
    name = canonicalize_name(found.name)
    licence = _licence(found)
    return Component(
        name=name,
        version=found.version,
        type=ComponentType.LIBRARY,
        bom_ref=name,
        purl=PackageURL("pypi", name=name, version=found.version),
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
    )


def _licence(found: Distribution) -> str | None:
    """Return what the distribution states: its expression, its field, or its classifier."""
    fields = found.metadata.get_all("License-Expression") or found.metadata.get_all("License")
    stated = fields[0] if fields else ""
    if stated not in ("", "UNKNOWN") and "\n" not in stated:
        return stated
    prefix = "License :: OSI Approved :: "
    classifiers = found.metadata.get_all("Classifier") or ()
    return next(
        (each.removeprefix(prefix) for each in classifiers if each.startswith(prefix)), None
    )


def _weights(model: ModelInfo) -> Component:
    """Return a model of machine learning; each of its files is a property."""
    return Component(
        name=model.title,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{model.name}",
        description=f"{model.purpose}; carried by {model.package}",
        licenses=[LicenseFactory().make_from_string(model.licence)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=model.files[0].sha256)],
        properties=[Property(name=f"file:{file.path}", value=file.sha256) for file in model.files],
    )


if __name__ == "__main__":
    TARGET.write_text(bill_of_materials(), encoding="utf-8")
