"""The hub that models come from: addresses, repositories, and what its refusals mean."""

from __future__ import annotations

import json
import os
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

import aiohttp

from ocelli import __version__
from ocelli.backends.bodies import read_bounded
from ocelli.backends.models.catalogue import (
    FileRole,
    HubName,
    Model,
    ModelError,
    ModelFile,
    ModelRunner,
    repository_files,
)
from ocelli.backends.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

MAX_REDIRECTS = 5
UNKNOWN_LICENCE = "unknown"
LONGEST_LISTING = 16 * 1024**2
REDIRECTS = frozenset({301, 302, 303, 307, 308})
OPEN_LICENCES = frozenset({"apache-2.0", "mit", "bsd-3-clause", "bsd-2-clause", "cc-by-4.0"})
# Of several projectors the first of these; the differences in what they see are small.
PROJECTORS = ("q8_0", "f16", "bf16")


@dataclass(frozen=True, slots=True)
class Hub:
    """Where it is, who asks, and how many seconds it may be silent."""

    endpoint: str
    token: str | None
    timeout: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Hub:
        """Read the variables that other clients of the hub read, too. Raises ModelError."""
        endpoint = (environment.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        if urlsplit(endpoint).scheme not in ("http", "https"):
            raise ModelError(f"HF_ENDPOINT is no address: {endpoint}.")
        seconds = environment.get("HF_HUB_DOWNLOAD_TIMEOUT") or "15"
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", seconds) or not float(seconds):
            raise ModelError(f"HF_HUB_DOWNLOAD_TIMEOUT is no number of seconds: {seconds}.")
        return cls(endpoint, environment.get("HF_TOKEN") or None, float(seconds))

    def file_url(self, repository: str, commit: str | None, path: str) -> str:
        """Return where a file is."""
        return f"{self.endpoint}/{repository}/resolve/{commit or 'main'}/{quote(path)}"

    def page(self, repository: str) -> str:
        """Return the page of a repository, for people."""
        return f"{self.endpoint}/{repository}"

    @asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Give a session whose reads end after ``timeout`` seconds without a byte."""
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self.timeout, sock_read=self.timeout
        )
        async with aiohttp.ClientSession(
            timeout=timeout,
            headers={"User-Agent": f"ocelli/{__version__}", "Accept-Encoding": "identity"},
        ) as session:
            yield session

    @asynccontextmanager
    async def get(
        self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Answer]:
        """Give the answer behind all redirects. The token goes to the hub's own host alone.

        Raises what aiohttp raises, and ModelError for too many redirects.
        """
        home = urlsplit(self.endpoint)
        first: Mapping[str, str] = {}
        for _ in range(MAX_REDIRECTS):
            parts = urlsplit(url)
            sent = dict(headers or {})
            if self.token and (parts.scheme, parts.netloc) == (home.scheme, home.netloc):
                sent["Authorization"] = f"Bearer {self.token}"
            async with session.get(
                url, headers=sent, proxy=proxy_for(url), allow_redirects=False
            ) as response:
                first = first or dict(response.headers)
                target = response.headers.get("Location")
                if response.status not in REDIRECTS or not target:
                    yield Answer(response, first)
                    return
            url = urljoin(url, target)
            if parts.scheme == "https" and urlsplit(url).scheme != "https":
                raise ModelError(f"{parts.netloc} leads to an address without TLS.")
        raise ModelError(f"{home.netloc} redirects more than {MAX_REDIRECTS} times.")

    def refused(self, status: int, repository: str, path: str) -> ModelError:
        """Return the error for an answer that holds no file."""
        host = urlsplit(self.endpoint).netloc
        if status in (401, 403):
            who = "HF_TOKEN may not read it" if self.token else "it asks for a token"
            return ModelError(
                f"{repository} is gated or private ({status}): {who}.",
                f"accept its licence at {self.page(repository)}, and set HF_TOKEN",
            )
        if status == 404:
            what = f"no {path} in {repository}" if path else f"no repository {repository}"
            return ModelError(f"{host} has {what} (404).")
        return ModelError(f"{host} answered {status} for {path or repository}.")

    async def resolve(self, wanted: HubName) -> Model:
        """Find the files of a model by the name of its repository. Raises ModelError."""
        listing = await self._listing(wanted.repository, None)
        page = self.page(wanted.repository)
        if wanted.quant is None:
            return _with_files(_of_repository(wanted, page), listing, page)
        return _as_model(wanted, wanted.quant, listing, page)

    async def with_files(self, model: Model) -> Model:
        """Return a model for vLLM with the files of its repository, as they are at its commit, or
        now if it has none. Raises ModelError.
        """
        listing = await self._listing(model.repository, model.commit)
        return _with_files(model, listing, self.page(model.repository))

    async def _listing(self, repository: str, commit: str | None) -> Any:
        revision = f"/revision/{commit}" if commit else ""
        url = f"{self.endpoint}/api/models/{repository}{revision}?blobs=true"
        try:
            async with self.session() as session, self.get(session, url) as answer:
                if answer.response.status != 200:
                    raise self.refused(answer.response.status, repository, "")
                body = await read_bounded(answer.response, LONGEST_LISTING)
        except TimeoutError as error:
            raise self.silent() from error
        except (aiohttp.ClientError, OSError) as error:
            raise self.unreachable(error) from error
        try:
            return json.loads(body)
        except ValueError as error:
            raise ModelError(_no_list(self.page(repository))) from error

    def silent(self) -> ModelError:
        """Return the error for a hub that sends nothing."""
        return ModelError(f"{urlsplit(self.endpoint).netloc} sent nothing for {self.timeout:g} s.")

    def unreachable(self, error: Exception) -> ModelError:
        """Return the error for a failed connection."""
        host = urlsplit(self.endpoint).netloc
        return ModelError(f"{host} cannot be reached ({type(error).__name__}).")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and the headers of the hub itself, which came before any redirect."""

    response: aiohttp.ClientResponse
    hub_headers: Mapping[str, str]

    @property
    def sha256(self) -> str | None:
        """The hash of the file as the hub knows it."""
        tag = self.hub_headers.get("X-Linked-ETag", "").strip('"')
        return tag if len(tag) == 64 else None

    @property
    def commit(self) -> str | None:
        """The state of the repository that this is of."""
        return self.hub_headers.get("X-Repo-Commit")


@dataclass(frozen=True, slots=True)
class Repository:
    """What the hub says of a repository."""

    files: list[ModelFile]
    licence: str
    commit: str

    @property
    def is_open(self) -> bool | None:
        """Whether its licence is an open one, as far as that is known."""
        return True if self.licence.lower() in OPEN_LICENCES else None


def _read(listing: Any, page: str) -> Repository:
    try:
        found = [
            ModelFile(
                _role(str(each["rfilename"])),
                str(each["rfilename"]),
                int(each["size"]) if each.get("size") else None,
                (each.get("lfs") or {}).get("sha256"),
            )
            for each in listing["siblings"]
        ]
        licence = str((listing.get("cardData") or {}).get("license") or UNKNOWN_LICENCE)
        return Repository(found, licence, str(listing["sha"]))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(_no_list(page)) from error


def _no_list(page: str) -> str:
    return f"{page} has no list of files that can be read."


def _as_model(wanted: HubName, quant: str, listing: Any, page: str) -> Model:
    repository = _read(listing, page)
    found = [file for file in repository.files if file.path.lower().endswith(".gguf")]
    return Model(
        name=wanted.name,
        title=f"{wanted.repository.rpartition('/')[2]} {quant}",
        repository=wanted.repository,
        files=(_of_quant(wanted, quant, found), _projector(wanted, found)),
        commit=repository.commit,
        licence=repository.licence,
        licence_url=page,
        is_open=repository.is_open,
    )


def _of_repository(wanted: HubName, page: str) -> Model:
    return Model(
        name=wanted.name,
        title=wanted.repository.rpartition("/")[2],
        repository=wanted.repository,
        files=(),
        licence_url=page,
        runner=ModelRunner.VLLM,
    )


def _with_files(model: Model, listing: Any, page: str) -> Model:
    repository = _read(listing, page)
    names = set(repository_files(file.path for file in repository.files))
    if not names:
        raise ModelError(f"{model.repository} has no safetensors: vLLM cannot run what it has.")
    is_told = model.licence != UNKNOWN_LICENCE
    return replace(
        model,
        files=tuple(
            replace(file, role=FileRole.PART)
            for file in repository.files
            if file.path in names and file.size  # the hub has no empty file to give
        ),
        commit=model.commit or repository.commit,
        licence=model.licence if is_told else repository.licence,
        is_open=model.is_open if is_told else repository.is_open,
    )


def _role(path: str) -> FileRole:
    return FileRole.PROJECTOR if "mmproj" in path.lower() else FileRole.MODEL


def _of_quant(wanted: HubName, quant: str, found: list[ModelFile]) -> ModelFile:
    models = [file for file in found if file.role == FileRole.MODEL]
    fitting = [file for file in models if _says(file, quant.lower())]
    whole = [file for file in fitting if "-of-0" not in file.name]
    if whole:
        return min(whole, key=lambda file: len(file.name))
    if fitting:
        raise ModelError(f"{wanted.repository} has {quant} only in several pieces.")
    names = ", ".join(sorted(file.name for file in models)) or "none"
    raise ModelError(f"{wanted.repository} has no {quant}; its GGUF files: {names}.")


def _projector(wanted: HubName, found: list[ModelFile]) -> ModelFile:
    projectors = [file for file in found if file.role == FileRole.PROJECTOR]
    for kind in PROJECTORS:
        for file in projectors:
            if _says(file, kind):
                return file
    if projectors:
        return projectors[0]
    raise ModelError(
        f"{wanted.repository} has no projector (mmproj): what it has sees no pictures."
    )


def _says(file: ModelFile, kind: str) -> bool:
    """Whether the name of the file has this word: ``f16`` is none of ``bf16``."""
    return bool(re.search(rf"(^|[-_.]){re.escape(kind)}([-_.]|$)", file.name.lower()))
