"""What the settings and this machine's disks hold, for the owner's page."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ocelli import __version__
from ocelli.domain.findings import LOCAL
from ocelli.domain.installation import ConfiguredBackend, Installation, ModelOnDisk
from ocelli.wiring.backends import chat_configs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocelli.settings import Settings


def inventory(settings: Settings) -> Installation:
    """Return the backends, the models and the room; nothing is asked, and no secret is in it."""
    return Installation(
        tuple(_backends(settings)),
        tuple(_models(settings)),
        shutil.disk_usage(settings.data).free,
        __version__,
    )


def _backends(settings: Settings) -> Iterator[ConfiguredBackend]:
    from ocelli.backends.registry import MissingKey

    for each in chat_configs(settings):
        if isinstance(each, MissingKey):
            problem = f"There is no key: set {each.variable}."
            yield ConfiguredBackend(each.name, "", problem=problem)
        else:
            yield ConfiguredBackend(
                each.name,
                each.provider.name,
                each.model,
                without_secrets(each.base_url),
                each.prices.input,
                each.prices.output,
            )
    yield ConfiguredBackend(LOCAL, "the local models", input_price=0.0, output_price=0.0)


def _models(settings: Settings) -> Iterator[ModelOnDisk]:
    from ocelli.backends.local.model_files import models
    from ocelli.backends.models.store import Store

    for stored in Store(settings.models_folder).all():
        model = stored.model
        yield ModelOnDisk(model.name, model.purpose, model.licence, model.size)
    for each in models():
        size = sum(file.size for file in each.files)
        yield ModelOnDisk(each.title, each.purpose, each.licence, size)


def without_secrets(url: str) -> str:
    """Return scheme, host, port and path of an address.

    >>> without_secrets("https://me:secret@example.com:8000/v1?key=secret")
    'https://example.com:8000/v1'
    """
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
