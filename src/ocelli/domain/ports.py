"""What the use cases need from the world. The composition root decides who provides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import date, datetime
    from pathlib import Path
    from uuid import UUID

    from ocelli.domain.analysis import Analysis, Answer, Failure, Level
    from ocelli.domain.batches import Batch, Progress
    from ocelli.domain.claims import Check, Claim, Verdict
    from ocelli.domain.findings import Feature, Findings
    from ocelli.domain.images import Image, Variant, VariantStatus
    from ocelli.domain.library import FileQuery
    from ocelli.domain.ports_access import Accounts, IdempotencyKeys, Rates
    from ocelli.domain.ports_fetch import Credits, Requests
    from ocelli.domain.ports_library import Colors, Exports, History
    from ocelli.domain.ports_storage import S3Configs
    from ocelli.domain.questions import Question
    from ocelli.domain.sessions import (
        Ended,
        Item,
        ItemCounts,
        ItemState,
        Session,
        SessionStatus,
        UploadMethod,
    )
    from ocelli.domain.usage import Delivered, MonthlyUse

Checked = TypeVar("Checked")


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """How a client sends one object by itself, without a key.

    ``headers`` must be sent exactly so; with None, none are needed.
    """

    url: str
    method: str = "PUT"
    headers: Mapping[str, str] | None = None


class Small(Protocol):
    """A small file in memory, which child processes see too. Whoever has it gives it back once."""

    @property
    def content(self) -> memoryview:
        """Its bytes, from an address that is a multiple of a page."""
        ...

    def give_back(self) -> None:
        """Nobody looks at it any more: the memory is for the next one."""
        ...


class FromMemory(Protocol):
    """A store that takes over small files that are on no disk yet."""

    async def take(self, key: str, small: Small, check: Callable[[memoryview], Checked]) -> Checked:
        """Store it as ``key``, unless ``check`` raises something about its content.

        What ``check`` answers; durable when this returns. ``small`` is the store's from now on.
        ``check`` and what comes out of it can be pickled.
        """
        ...


class Objects(Protocol):
    """Where bytes live, by key.

    Every call may raise Unavailable or OSError where the store does not answer, and
    StorageAccessDenied where it refuses us.
    """

    @property
    def staging(self) -> Path:
        """A folder for files that are still arriving; old ones in it are swept away."""
        ...

    @property
    def from_memory(self) -> FromMemory | None:
        """How it takes over what is on no disk yet, if it can."""
        ...

    async def put(self, key: str, source: Path, content_type: str) -> None:
        """Take over the file ``source`` as ``key``; durable when this returns."""
        ...

    async def read(self, key: str) -> bytes:
        """All bytes of ``key``; FileNotFoundError if there is none."""
        ...

    async def copy_to(self, key: str, write: Callable[[bytes], object]) -> None:
        """Give all bytes of ``key`` to ``write``, in pieces of a megabyte, in a thread.

        FileNotFoundError if there is none; whatever ``write`` raises ends it and is raised.
        """
        ...

    async def size(self, key: str) -> int | None:
        """Bytes of ``key``; None if there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Remove ``key``; no error if it is gone already."""
        ...

    def url(
        self, key: str, *, expires_in: int, content_type: str, filename: str | None = None
    ) -> str:
        """A signed URL that needs no key and dies after ``expires_in`` seconds.

        With ``filename`` the answer is a download under that name.
        """
        ...

    def upload_url(
        self, key: str, *, expires_in: int, content_type: str, max_bytes: int
    ) -> SignedUpload:
        """How a client may send ``key`` itself within ``expires_in`` seconds.

        The store holds it to the type, and to ``max_bytes`` and one single time if it can (ours
        can; S3 cannot): whoever takes the object over checks again.
        """
        ...

    def keys(self, *, under: str, older_than: float) -> AsyncIterator[Sequence[str]]:
        """Every key that begins with the folder ``under`` and was written more than so many
        seconds ago, some hundreds at a time."""
        ...

    async def check(self) -> None:
        """Raise OSError if the store cannot be used right now."""
        ...


class Picture(Protocol):
    """A decoded picture: upright, sRGB, 8 bits, no larger than the analysis needs."""

    @property
    def pixels(self) -> Any:
        """An array of shape (height, width, 3), RGB, uint8."""
        ...

    @property
    def width(self) -> int:
        """Of the original, upright, in pixels; ``pixels`` may be fewer."""
        ...

    @property
    def height(self) -> int:
        """Likewise."""
        ...

    @property
    def data(self) -> bytes:
        """The file as it came, for who needs more than ``pixels`` holds."""
        ...


class Backend(Protocol):
    """Something that can look at a picture. Every call of it is one look."""

    @property
    def name(self) -> str:
        """What ``source`` says in answers."""
        ...

    @property
    def model_version(self) -> str:
        """Changes whenever the same picture could be answered otherwise."""
        ...

    @property
    def capabilities(self) -> frozenset[Feature]:
        """What it can answer."""
        ...

    async def look(
        self, picture: Picture, question: Question, *, thorough: bool = False
    ) -> Findings:
        """Describe, with the claims that the description states. ``thorough`` is full resolution
        and detail. Raises AnalysisFailed."""
        ...

    async def check(
        self,
        picture: Picture,
        claims: Sequence[Claim],
        *,
        description: str,
        question: Question,
        evidence: Findings | None = None,
        thorough: bool = False,
        nth: int = 1,
    ) -> Check:
        """Look again with these claims in hand. ``nth`` is 1 for the check and 2 for the judge.

        ``evidence`` is what the local models found. Raises AnalysisFailed.
        """
        ...

    def reword(
        self, findings: Findings, dropped: Sequence[Claim], question: Question
    ) -> str | None:
        """Its own description without these claims; None if that would take another look."""
        ...


class Evidence(Protocol):
    """Models that can tell what is there without describing it; they cost no look."""

    @property
    def name(self) -> str:
        """Of the backend whose models they are: to its own words they add nothing."""
        ...

    async def gather(self, picture: Picture) -> Findings:
        """What they find. Raises AnalysisFailed."""
        ...

    def judge(self, claim: Claim, findings: Findings) -> Verdict | None:
        """What these findings say about the claim; None if they cannot know."""
        ...


class LocalModels(Backend, Evidence, Protocol):
    """The backend whose models are evidence about everybody else's claims."""


class Backends(Protocol):
    """Those that are configured."""

    @property
    def names(self) -> Sequence[str]:
        """In the order of the settings, the local one last."""
        ...

    @property
    def default(self) -> Backend:
        """Who describes when nobody is named."""
        ...

    def get(self, name: str) -> Backend | None:
        """None if it is not configured."""
        ...

    def checker(self, *others: str) -> Backend:
        """Who looks again: somebody else than ``others``, if there is somebody else."""
        ...


class Images(Protocol):
    """The pictures of all tenants; every question names the tenant."""

    async def add(self, *images: Image) -> None:
        """New ones, that nobody has looked at; their files must be in the store already."""
        ...

    async def get(self, tenant_id: UUID, id_or_prefix: str) -> Image | None: ...
    async def by_hashes(self, tenant_id: UUID, hashes: Sequence[str]) -> dict[str, UUID]:
        """From those hashes that the tenant has to the oldest picture of each."""
        ...

    async def stuck(self, tenant_id: UUID, *, minutes: int, limit: int) -> Sequence[Image]:
        """Whose analysis has been unfinished for so long, oldest first."""
        ...

    async def by_key(self, tenant_id: UUID, object_key: str) -> Image | None: ...
    async def by_ids(self, ids: list[UUID]) -> Sequence[Image]:
        """Those that exist and are not deleted, of any tenant, in no order."""
        ...

    async def by_hash(self, tenant_id: UUID, sha256: str) -> Image | None: ...
    async def page(
        self, tenant_id: UUID, query: FileQuery, *, limit: int, offset: int
    ) -> tuple[Sequence[Image], int]:
        """One page, and how many there are in all."""
        ...

    async def update(
        self, tenant_id: UUID, id: UUID, *, title: str | None, tags: Sequence[str] | None
    ) -> datetime | None:
        """What a person says; None leaves as it is, an empty title removes it. When, or None."""
        ...

    async def delete(self, tenant_id: UUID, id: UUID) -> datetime | None: ...
    async def lock_content(self, tenant_id: UUID, sha256: str) -> None:
        """Hold everybody else who stores the same bytes until this transaction ends."""
        ...

    async def find(self, id: UUID) -> Image | None:
        """For workers, which act for every tenant."""
        ...

    async def unknown(self, keys: Sequence[str]) -> Sequence[str]:
        """Those object keys of our tenants that no row speaks of.

        Keys read ``kind/tenant/...``; of what is not so, and may be somebody else's, none.
        """
        ...

    async def deleted(self, *, older_than: float, limit: int, skip: int = 0) -> Sequence[Image]:
        """Pictures of all tenants that were deleted more than so many seconds ago, without the
        ``skip`` longest deleted."""
        ...

    async def forget(self, id: UUID) -> None:
        """Remove the row and all that belongs to it; its objects must be gone already."""
        ...

    async def set_variants(
        self,
        id: UUID,
        status: VariantStatus,
        variants: Sequence[Variant] = (),
        *,
        blur_hash: str | None = None,
        error: str | None = None,
    ) -> None: ...


class Analyses(Protocol):
    """What was asked about pictures, and the answers."""

    async def add(self, *analyses: Analysis) -> None: ...
    async def get(self, tenant_id: UUID, id: UUID) -> Analysis | None: ...
    async def of_request(self, tenant_id: UUID, request_id: UUID) -> Sequence[Analysis]:
        """In their order."""
        ...

    async def purge(self, *, older_than: float) -> int:
        """Forget those of no image that ended so many seconds ago, of one request all or none;
        their objects become orphans."""
        ...

    async def start(self, id: UUID) -> Analysis | None:
        """Mark as processing; None if it is unknown or already final."""
        ...

    async def skip(self, id: UUID) -> bool:
        """Final without an answer: others stand in its place. False if it was final already."""
        ...

    async def complete(self, analysis: Analysis) -> bool:
        """Store the answer; False if another run was first."""
        ...

    async def fail(self, id: UUID, failure: Failure, *, skipped: bool = False) -> bool:
        """Final; ``skipped`` if it was never begun. False if it was final already."""
        ...

    async def requeue(self, id: UUID) -> None:
        """Back to queued: an attempt failed and another one is coming."""
        ...

    async def of_image(self, tenant_id: UUID, image_id: UUID) -> Sequence[Analysis]: ...
    async def finished(self, tenant_id: UUID, image_ids: Sequence[UUID]) -> Sequence[Analysis]:
        """Those of these pictures' analyses that are final."""
        ...

    async def orphans(self, older_than: float) -> Sequence[Analysis]:
        """Unfinished ones that no job stands for, older than so many seconds."""
        ...


class Answers(Protocol):
    """What a tenant was answered before, by ``engine.answer_key``."""

    async def get(self, tenant_id: UUID, key: bytes) -> Answer | None: ...
    async def put(self, tenant_id: UUID, key: bytes, answer: Answer) -> None:
        """The first one stays."""
        ...

    async def purge(self, *, older_than: float) -> int:
        """Forget those given more than so many seconds ago."""
        ...


class Batches(Protocol):
    """Jobs over many pictures; their items are analyses with the job's id as ``request_id``."""

    async def add(self, batch: Batch) -> None: ...
    async def get(self, tenant_id: UUID, id: UUID) -> Batch | None: ...
    async def progress(self, id: UUID) -> Progress: ...
    async def results(
        self, id: UUID, *, include_failed: bool, limit: int, offset: int
    ) -> Sequence[Analysis]:
        """Items in their order, also those that are not final."""
        ...

    async def cancel(self, id: UUID, reason: str) -> int:
        """Skip what is queued; how many that were."""
        ...

    async def find(self, id: UUID) -> Batch | None:
        """For workers, which act for every tenant."""
        ...

    async def ended(self, *, limit: int) -> Sequence[UUID]:
        """Those with a webhook that have ended since the last time; their jobs must follow."""
        ...

    async def purge(self, *, older_than: float) -> int:
        """Forget those whose items are forgotten."""
        ...


class Sessions(Protocol):
    """Files that come together. Counters follow the items within the same transaction."""

    async def add(self, session: Session, items: Sequence[Item]) -> None:
        """The session with its counters as they are, and its items."""
        ...

    async def add_items(self, *items: Item) -> None:
        """As they are; counters are not touched."""
        ...

    async def extend(self, session: Session, items: Sequence[Item]) -> bool:
        """Add ``items`` and the counters of ``session`` to the one that has its id.

        False if the tenant has none of that id, or it was cancelled or has expired. The items'
        positions go on from those that are there.
        """
        ...

    async def get(self, tenant_id: UUID, id: UUID) -> Session | None: ...
    async def overview(
        self, tenant_id: UUID, id: UUID, *, recent: int, excerpt: int
    ) -> tuple[Session, Sequence[Ended], Sequence[Ended]] | None:
        """The session, and so many of the newest files that ended well, and that failed.

        All as of one moment; of descriptions so many characters.
        """
        ...

    async def page(
        self,
        tenant_id: UUID,
        *,
        status: SessionStatus | None,
        method: UploadMethod | None,
        limit: int,
        offset: int,
    ) -> tuple[Sequence[Session], int]:
        """Newest first, and how many there are in all."""
        ...

    async def results(
        self, session_id: UUID, *, include_failed: bool, limit: int, offset: int
    ) -> tuple[Sequence[Item], int]:
        """Items in a final state with their pictures, in the order of the request."""
        ...

    async def recent(self, session_id: UUID, *, failed: bool, limit: int) -> Sequence[Item]:
        """The newest items that ended well (or not), with their pictures."""
        ...

    async def counts(self, session_id: UUID) -> ItemCounts: ...
    async def items(self, tenant_id: UUID, session_id: UUID) -> Sequence[Item]:
        """All, in the order of the request."""
        ...

    async def item_by_key(self, tenant_id: UUID, object_key: str) -> Item | None: ...
    async def item_by_idempotency_key(self, tenant_id: UUID, key: str) -> Item | None: ...
    async def take(self, id: UUID) -> bool:
        """From uploading to confirming; False if somebody else has it.

        One that has been confirming for minutes belonged to a process that died.
        """
        ...

    async def give_back(self, id: UUID) -> None:
        """From confirming to uploading: the confirmation could not be carried through."""
        ...

    async def move(
        self,
        id: UUID,
        to: ItemState,
        *,
        image_id: UUID | None = None,
        error: str | None = None,
        retryable: bool | None = None,
    ) -> bool:
        """Change an item that is not final, and its session's counters; False if it is final."""
        ...

    async def cancel(self, session: Session) -> int:
        """End what has not begun; the number of analyses that will not be made."""
        ...

    async def expire(self, limit: int) -> int:
        """Fail reservations that nobody used in time; how many."""
        ...


class Usage(Protocol):
    """Meters, exact under concurrency."""

    async def month(self, tenant_id: UUID) -> MonthlyUse: ...
    async def reserve(
        self,
        tenant_id: UUID,
        *,
        uploads: int,
        descriptions: int,
        credits: int,
        max_uploads: int | None,
        max_descriptions: int | None,
    ) -> bool:
        """Count them if that stays within the limits; False, and nothing counted, if not."""
        ...

    async def give_back(self, tenant_id: UUID, *, descriptions: int, credits: int) -> None: ...
    async def store(
        self, tenant_id: UUID, size_bytes: int, *, max_bytes: int | None = None
    ) -> bool:
        """Count bytes that are stored (or, negative, no longer are) within the limit."""
        ...

    async def delivered(
        self,
        tenant_id: UUID,
        *,
        operation: str,
        level: Level,
        succeeded: int,
        failed: int,
        credits: int,
        milliseconds: float,
    ) -> None: ...
    async def days(self, tenant_id: UUID, start: date, end: date) -> Sequence[Delivered]:
        """Both days included."""
        ...


class Jobs(Protocol):
    """The queue, inside the same transaction as the rows that a job is about."""

    async def analyse(
        self, *analyses: Analysis, urgent: bool = False, places: Sequence[int] = ()
    ) -> None:
        """All of one tenant, behind its own backlog; ``urgent`` before everything.

        With ``places`` each has its own: the lower, the sooner.
        """
        ...

    async def make_variants(self, *images: Image) -> None: ...
    async def extract_colors(self, image_id: UUID) -> None: ...
    async def export(self, export_id: UUID) -> None: ...
    async def call_webhook(self, batch_id: UUID) -> None: ...


class Transaction(Protocol):
    """Everything that can be done before one commit."""

    @property
    def images(self) -> Images: ...
    @property
    def analyses(self) -> Analyses: ...
    @property
    def answers(self) -> Answers: ...
    @property
    def batches(self) -> Batches: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def s3_configs(self) -> S3Configs: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def colors(self) -> Colors: ...
    @property
    def history(self) -> History: ...
    @property
    def exports(self) -> Exports: ...
    @property
    def rates(self) -> Rates: ...
    @property
    def idempotency(self) -> IdempotencyKeys: ...
    @property
    def requests(self) -> Requests: ...
    @property
    def credits(self) -> Credits: ...
    @property
    def jobs(self) -> Jobs: ...


class Database(Protocol):
    """Postgres, seen from the use cases."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits when its block ends, rolls back if it raises; Unavailable if there is none."""
        ...

    def bookkeeping(self) -> AbstractAsyncContextManager[Transaction]:
        """The same for what nobody polls, like counted requests: answers kept for polls stay."""
        ...

    def single(self) -> AbstractAsyncContextManager[Transaction]:
        """For one statement, which is a transaction by itself. Spares two round trips."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """For questions alone: each sees what is newest. Spares two round trips."""
        ...
