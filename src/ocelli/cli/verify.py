"""``ocelli verify``: whether a text is true of a picture. Needs no server libraries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ocelli.cli.connection import with_client
from ocelli.cli.console import BAD, GOOD, console
from ocelli.cli.output import FAILED, print_json

if TYPE_CHECKING:
    from aion import SyncAionVision, VerificationResult


def verify(
    picture: str,
    statement: str,
    *,
    level: str,
    backends: list[str] | None,
    as_json: bool,
    **where: Any,
) -> int:
    """Check a text and print what was found. Returns the exit code: FAILED if it is not true."""
    is_address = picture.startswith(("http://", "https://"))

    def run(client: SyncAionVision) -> int:
        result = client.verify(
            picture if is_address else Path(picture),
            statement,
            verification_level=level,
            providers=backends,
        )
        if as_json:
            print_json(result.to_dict(exclude_none=False))
        else:
            _show(result)
        return 0 if result.is_verified else FAILED

    return with_client(run, **where)


def _show(result: VerificationResult) -> None:
    out = console()
    mark = Text("✓ true", GOOD) if result.is_verified else Text("✗ not shown to be true", BAD)
    out.print(mark, f"(confidence {result.confidence_score:.2f}, risk {result.risk_level})")
    for claim in result.verified_claims:
        out.print(f"  {_claim(claim)}", soft_wrap=True)
    for issue in result.issues:
        about = f"{issue.claim}: " if issue.claim else ""
        out.print(f"  {about}{issue.description or issue.type}", soft_wrap=True)


def _claim(claim: Any) -> str:
    if not isinstance(claim, dict):
        return str(claim)
    probability = claim.get("probability", claim.get("confidence"))
    shown = f" ({probability:.2f})" if isinstance(probability, float) else ""
    return f"{claim.get('text') or claim.get('claim')}{shown}"
