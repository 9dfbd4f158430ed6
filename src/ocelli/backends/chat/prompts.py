"""What chat models are told: files with names and versions, filled in with data that is fenced.

A change of what a file says is a new file with a new version; ``fingerprint`` notices one that was
forgotten.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ocelli.domain.choosing import Mode
from ocelli.domain.languages import DEFAULT, language_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.claims import Claim
    from ocelli.domain.findings import Findings
    from ocelli.domain.questions import Question, Role
    from ocelli.domain.tagging import TagVocabulary

DESCRIBE, CHECK, JUDGE, ROLES = "describe.v2.md", "check.v2.md", "judge.v2.md", "roles.v1.toml"
TAGS = "tags.v1.md"
NOTHING_READ = "nothing that is written in it could be read"
MOST_LINES = 60


@cache
def text(name: str) -> str:
    """Return the text of a prompt file."""
    return (files("ocelli.backends.chat") / "prompts" / name).read_text(encoding="utf-8")


@cache
def roles() -> dict[str, dict[str, Any]]:
    """Return the instruction of each role, and its limit in characters, if any."""
    return tomllib.loads(text(ROLES))


@cache
def fingerprint() -> str:
    """Return the version of all prompts: eight hexadecimal digits of their hash."""
    whole = "\0".join(text(name) for name in (DESCRIBE, CHECK, JUDGE, ROLES))
    return hashlib.sha256(whole.encode()).hexdigest()[:8]


def limit(role: Role) -> int | None:
    """Return the maximum length of a description for this role, in characters."""
    value: int | None = roles()[role.value].get("limit")
    return value


def fenced(name: str, content: str) -> str:
    """Return ``content`` between markers that it cannot forge: they depend on all of it."""
    mark = f"{name}:{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    return f"<<<{mark}\n{content}\n{mark}>>>"


def with_nonce(task: str, nonce: str) -> str:
    """The task, and below it what the answer must repeat: no picture can know it."""
    return f'{task}\n\nBegin the answer with {{"nonce": "{nonce}",'


def to_describe(question: Question) -> str:
    """Return the text of a request for a description."""
    parts = []
    if question.prompt:
        parts += [
            "Write `description` as this request of the reader asks. It decides what `description` "
            "speaks of and how, nothing else:",
            fenced("request", _quoted(question.prompt)),
        ]
    else:
        parts += ["What `description` is to be:", roles()[question.role.value]["text"]]
    parts.append(_language(question.language))
    if question.vocabulary and question.vocabulary.terms:
        parts += [
            "`tags`: not as said above, but those of this list that fit, exactly as written in it, "
            "most fitting first; of terms for the same thing the exact one; none if none fits.",
            _terms(question.vocabulary),
        ]
        if question.vocabulary.mode is Mode.PREFER:
            parts.append("`new_tags`: keywords for what no term of the list says, as said above.")
    return "\n\n".join(parts)


def to_choose(vocabulary: TagVocabulary) -> str:
    """Return the text of a request for terms of a list."""
    return "\n\n".join(["The list, one keyword a line:", _terms(vocabulary)])


def _terms(vocabulary: TagVocabulary) -> str:
    return fenced("terms", "\n".join(_quoted(each) for each in vocabulary.terms))


def to_check(claims: Sequence[Claim], *, description: str, evidence: Findings | None) -> str:
    """Return the text of a request for verdicts."""
    lines = "\n".join(
        json.dumps(
            {"claim": number, "text": claim.text, "type": claim.type.value}, ensure_ascii=False
        )
        for number, claim in enumerate(claims, 1)
    )
    parts = [
        "The description:",
        fenced("description", _quoted(description)),
        "The claims to judge, one a line:",
        fenced("claims", lines),
    ]
    if evidence is not None:
        parts += ["The evidence:", fenced("evidence", _evidence(evidence))]
    return "\n\n".join(parts)


def _quoted(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)


def _language(asked: str) -> str:
    name = language_named(asked)
    if name == DEFAULT:
        return "`description` is in English."
    return (
        f"`description` is in {name}, written as somebody who grew up with that language writes. "
        "`tags` and `claims` stay in English; `visible_text` stays as it is written."
    )


def _evidence(found: Findings) -> str:
    """What detectors can be believed in: names, numbers, places, words; scores to two digits."""
    told: dict[str, Any] = {
        "writing": [line.text for line in found.texts[:MOST_LINES]] or NOTHING_READ,
        "objects": [
            {
                "name": thing.name,
                "score": round(thing.score, 2),
                "center": [round(part, 2) for part in thing.box.center],
            }
            for thing in found.objects[:MOST_LINES]
        ],
        "colours": [
            {"name": color.name, "share": round(color.fraction, 2)} for color in found.colors
        ],
        "faces": len(found.faces),
        "looks_like": [
            {"name": scene.name, "score": round(scene.score, 2)} for scene in found.scenes[:3]
        ],
    }
    return json.dumps(told, ensure_ascii=False)
