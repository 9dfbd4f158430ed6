"""One way of describing per role. All say parts of the same content, each in words of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.backends.local.phrases import Phrases, Topic
from ocelli.domain import grammar
from ocelli.domain.questions import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocelli.backends.local.content import Content

NOTHING = "nothing that the local models recognise"


def written(content: Content, role: Role) -> Phrases:
    """The sentences for this role, and what they say."""
    return WRITERS.get(role, general)(content)


def general(content: Content) -> Phrases:
    """What the picture shows, its colours, where it is, faces, text, a warning."""
    prose = Phrases()
    first = subject(prose, content) or NOTHING
    if content.coloring is not None:
        words = prose.coloring(content.coloring)
        first += f"{',' if words.startswith('in ') else ';'} {words}"
    prose.sentences.append(grammar.sentence(first))
    if content.things and content.scene is not None and content.scene.is_place:
        prose.sentences.append(f"The setting is {prose.place(content.scene)}.")
    if content.faces and not prose.has(Topic.FACES):
        verb = "is" if len(content.faces) == 1 else "are"
        prose.sentences.append(grammar.sentence(f"{prose.faces(content.faces)} {verb} visible"))
    if content.texts and not prose.has(Topic.TEXT):
        prose.sentences.append(f"There is {prose.quote(content.texts)}.")
    if content.nsfw is not None:
        prose.sentences.append(f"The picture {prose.warning(content.nsfw)}.")
    return prose


def subject(prose: Phrases, content: Content) -> str:
    """The main thing, without a full stop: things, else faces, a scene, text; "" for nothing."""
    if content.things:
        return prose.things(content.things) + prose.companion(content.scene)
    if content.faces:
        return prose.faces(content.faces, weight=1.0) + prose.companion(content.scene)
    if content.scene is not None:
        return prose.scene(content.scene)
    return prose.quote(content.texts, weight=1.0) if content.texts else ""


WRITERS: dict[Role, Callable[[Content], Phrases]] = {Role.GENERAL: general}
