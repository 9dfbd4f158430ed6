"""``ocelli policy``: the escalation policies of a server. Needs no server libraries."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

from aion import AionvisionError, ResourceNotFoundError, SyncAionVision, ValidationError
from ocelli.cli.connection import connect, hint
from ocelli.cli.console import console
from ocelli.cli.output import CANNOT_RUN, FAILED, WRONG_USE, fail, print_json, printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aion import EscalationPolicy

FIELDS = ("first", "second", "when", "budget", "calibration")
OF_A_SERVER = ("id", "name", "is_default", "spent", "created_at", "updated_at")


def store(file: Path, *, name: str | None, is_default: bool, as_json: bool, **where: Any) -> int:
    """Store the policy of a file. Returns the exit code."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError("a policy is an object")
        if unknown := sorted(set(document) - {*FIELDS, *OF_A_SERVER}):
            raise ValueError(f"there is no field {unknown[0]!r}")
        if missing := [each for each in ("second", "when", "budget") if not document.get(each)]:
            raise ValueError(f"the field {missing[0]!r} is missing")
    except (OSError, ValueError) as error:
        fail(
            f"{printable(file)}: {getattr(error, 'strerror', None) or error}",
            "`ocelli docs escalation` shows one",
        )
        return WRONG_USE
    name = name or str(document.get("name") or file.stem)
    fields = {each: document[each] for each in FIELDS if document.get(each)}

    def run(client: SyncAionVision) -> int:
        done = client.escalation_policies.store(name, is_default=is_default, **fields)
        if as_json:
            print_json(asdict(done))
        else:
            default = ", the default" if done.is_default else ""
            console().print(f"{done.name} is stored{default}", markup=False)
        return 0

    return _with_client(run, **where)


def show(name: str | None, *, as_json: bool, **where: Any) -> int:
    """Print the policies. Returns the exit code."""

    def run(client: SyncAionVision) -> int:
        policies = client.escalation_policies
        found = policies.list() if name is None else [policies.get(name)]
        if as_json:
            print_json([asdict(each) for each in found])
            return 0
        table = Table("policy", "first", "second", "when", "again", "calls", "credits")
        for each in found:
            table.add_row(*_row(each))
        console().print(table)
        return 0

    return _with_client(run, **where)


def delete(name: str, **where: Any) -> int:
    """Delete a policy. Returns the exit code."""

    def run(client: SyncAionVision) -> int:
        client.escalation_policies.delete(name)
        console().print(f"{name} is deleted", markup=False)
        return 0

    return _with_client(run, **where)


def _row(policy: EscalationPolicy) -> tuple[str, ...]:
    when, budget, spent = policy.when, policy.budget, policy.spent
    doubtful = [
        *([f"confidence < {when.confidence_below:g}"] if when.confidence_below is not None else []),
        *(["disputed claims"] if when.disputed_claims else []),
        *when.kinds,
    ]
    share = "" if budget.share is None else f", at most {budget.share:.0%}"
    return (
        f"{policy.name} (default)" if policy.is_default else policy.name,
        f"{policy.first.backend or 'default'} {policy.first.level}",
        f"{policy.second.backend or 'default'} {policy.second.level}",
        ", ".join(doubtful),
        f"{spent.escalated} of {spent.pictures}{share}",
        f"{spent.calls}" + ("" if budget.calls is None else f" of {budget.calls}"),
        f"{spent.credits:g}"
        if budget.credits is None
        else f"{spent.credits:g} of {budget.credits}",
    )


def _with_client(
    run: Callable[[SyncAionVision], int], *, server: str | None, key: str | None, data: Path | None
) -> int:
    client = connect(server, key, data)
    if isinstance(client, int):
        return client
    with client:
        try:
            return run(client)
        except ValidationError as error:
            fail(error.message)
            return WRONG_USE
        except ResourceNotFoundError as error:
            fail(error.message, "ocelli policy list")
            return FAILED
        except AionvisionError as error:
            fail(error.message, hint(error))
            return CANNOT_RUN
