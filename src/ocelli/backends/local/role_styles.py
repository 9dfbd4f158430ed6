"""One way of describing per role. All say parts of the same content, each in words of its own.

No role adds anything: what is hedged stays hedged, and a style may joke only about what is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocelli.backends.local.content import Content, Scheme
from ocelli.backends.local.evidence import Band, Scene
from ocelli.backends.local.phrases import Phrases, Topic
from ocelli.domain import grammar
from ocelli.domain.questions import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocelli.backends.local.content import Coloring
    from ocelli.backends.local.evidence import Thing
    from ocelli.domain.findings import Box

    Writer = Callable[[Content], Phrases]

NOTHING = "something that the local models cannot name"
ALT_TEXT, CAPTION, TWEET = 125, 160, 280  # characters
CAPTIONED = 3  # things
HASHTAGS, NO_HASHTAG = 5, "picture"
MOST_LINES = 100


# Colours that are the point of a picture, and what stands before them.
STRIKING = {Scheme.GREYS: ", ", Scheme.ALMOST_ONE: ", ", Scheme.GROUND: " "}


@dataclass(frozen=True, slots=True)
class Style:
    """The sentences of a role. ``{}`` is what was found, ``{are}`` the verb that fits it."""

    subject: str
    nothing: str
    colors: str
    place: str
    faces: str
    text: str
    end: str = "."


STYLES = {
    Role.ARTIST: Style(
        subject="The composition is built around this: {}",
        nothing="The composition shows something that the local models cannot name",
        colors="{} give it its tones",
        place="The space around it: {}",
        faces="{} {are} part of the composition",
        text="Letters enter the picture as {}",
    ),
    Role.COMEDIAN: Style(
        subject="Tonight's cast: {}",
        nothing="Tonight's cast: something that the local models cannot name",
        colors="The wardrobe department went for {}",
        place="Tonight's stage: {}",
        faces="{} showed up for work",
        text="The script, such as it is: {}",
    ),
    Role.CRITIC: Style(
        subject="What the work presents: {}",
        nothing="The work withholds its subject, which the local models cannot name",
        colors="Its palette rests on {}",
        place="The setting, {}, does the rest",
        faces="{} {are} given to the viewer",
        text="It does not trust the image alone and adds {}",
    ),
    Role.ECOMMERCE: Style(
        subject="Product shown: {}",
        nothing="Product shown: something that the local models cannot name",
        colors="Main colours: {}",
        place="Presented in this setting: {}",
        faces="{} {are} in view",
        text="Printed or visible: {}",
    ),
    Role.PROMOTER: Style(
        subject="Discover this: {}",
        nothing="Discover this: something that the local models cannot name",
        colors="Presented in {}",
        place="And the setting? {}",
        faces="{} {are} waiting to meet you",
        text="The message: {}",
        end="!",
    ),
    Role.REALTOR: Style(
        subject="This view offers: {}",
        nothing="This view offers something that the local models cannot name",
        colors="Finished in {}",
        place="The location: {}",
        faces="{} {are} present at the viewing",
        text="Signage on site: {}",
    ),
}


def written(content: Content, role: Role) -> Phrases:
    """The sentences for this role, and what they say."""
    if role in STYLES:
        return _styled(content, STYLES[role])
    return WRITERS[role](content)


def subject(prose: Phrases, content: Content) -> str:
    """The main thing and where it is, without a full stop; "" for nothing."""
    words = _what(prose, content)
    if not content.places:
        return words
    if not words:
        return prose.scenery(content.places[0])
    return f"{words}{',' if ',' in words else ''} {prose.where(content)}"


def _what(prose: Phrases, content: Content) -> str:
    """What it is if it is no photo; else things, a scene, text."""
    if content.medium is not None:
        return prose.medium(content)
    if content.things:
        return prose.things(content.things) + prose.companion(content.scene)
    if content.scene is not None:
        return prose.scene(content.scene)
    return prose.quote(content.texts, weight=1.0) if content.texts else ""


def _general(content: Content) -> Phrases:
    """What the picture shows and where, colours that are the point of it, text, a warning."""
    prose = Phrases()
    first, coloring = subject(prose, content), content.coloring
    if coloring is not None:
        first = _colored(first, coloring, prose, content)
    prose.sentences.append(grammar.sentence(first or NOTHING))
    if place := _place(content):
        prose.sentences.append(f"The setting is {prose.place(place)}.")
    if content.texts and not prose.has(Topic.TEXT):
        prose.sentences.append(f"There is {prose.quote(content.texts)}.")
    _warn(prose, content)
    return prose


def _colored(first: str, coloring: Coloring, prose: Phrases, content: Content) -> str:
    """With the colours, where they are the point of it, or where there is nothing else to say."""
    if not first and coloring.scheme is Scheme.ALMOST_ONE:
        return f"something unrecognised, {prose.coloring(coloring)}"
    if not first:
        return f"something unrecognised, mostly {prose.colors(coloring)}"
    if coloring.scheme not in STRIKING or not (content.things or content.scene or content.places):
        return first
    if content.medium is not None:
        return first
    return first + STRIKING[coloring.scheme] + prose.coloring(coloring)


def _styled(content: Content, style: Style) -> Phrases:
    prose = Phrases()

    def add(template: str, words: str = "", *, one: bool = False) -> None:
        filled = template.format(words, are="is" if one else "are")
        prose.sentences.append(f"{filled[:1].upper()}{filled[1:]}{style.end}")

    shown = subject(prose, content)
    add(style.subject if shown else style.nothing, shown)
    if content.coloring is not None:
        add(style.colors, prose.colors(content.coloring))
    if place := _place(content):
        add(style.place, prose.place(place))
    if content.faces and not prose.has(Topic.FACES):
        add(style.faces, prose.faces(content.faces), one=len(content.faces) == 1)
    if content.texts and not prose.has(Topic.TEXT):
        add(style.text, prose.quote(content.texts))
    _warn(prose, content)
    return prose


def _alt_text(content: Content) -> Phrases:
    """One phrase for who cannot see the picture; no full stop, and no "image of"."""
    prose = Phrases()
    words = subject(prose, content)
    if words and content.texts and not prose.has(Topic.TEXT):
        words += f", with {prose.quote(content.texts)}"
    if not words and content.coloring is not None:
        words = f"unrecognised, mostly {prose.colors(content.coloring)}"
    words = words or "unrecognised"
    prose.sentences.append(f"{words[:1].upper()}{words[1:]}")
    return prose


def _caption(content: Content) -> Phrases:
    """One line under the picture."""
    prose = Phrases()
    words = subject(prose, replace(content, things=content.things[:CAPTIONED]))
    if words:
        if place := _place(content):
            words += f"; setting: {prose.place(place)}"
        prose.sentences.append(f"Seen here: {words}.")
    elif content.coloring is not None:
        prose.sentences.append(f"Untitled, in {prose.colors(content.coloring)}.")
    else:
        prose.sentences.append("Untitled.")
    return prose


def _tweet(content: Content) -> Phrases:
    """Short sentences and hashtags; these are only of what is certain."""
    prose = Phrases()
    shown = subject(prose, content)
    prose.sentences.append(f"📷 Spotted: {shown or NOTHING}.")
    if content.coloring is not None:
        prose.sentences.append(f"All about {prose.colors(content.coloring)}.")
    if content.texts and not prose.has(Topic.TEXT):
        prose.sentences.append(f"Comes with {prose.quote(content.texts)}.")
    said = {noun for one in prose.said for noun in (one.subject, one.of)}
    certain = [thing.noun for thing in content.things if thing.band is Band.CERTAIN]
    sure = [noun for noun in certain if noun in said]
    scene = content.scene
    if scene is not None and prose.has(Topic.SCENE) and scene.head.band is Band.CERTAIN:
        sure.append(scene.head.name)
    sure += content.coloring.names if content.coloring else ()
    tags = dict.fromkeys(map(_hashtag, sure[:HASHTAGS] or [NO_HASHTAG]))
    prose.sentences.append(" ".join(tags))
    return prose


def _prompt(content: Content) -> Phrases:
    """What would make a generator paint it again: phrases between commas."""
    prose = Phrases()
    parts = []
    if content.things:
        parts.append(prose.things(content.things))
    if content.faces:
        parts.append(f"{prose.faces(content.faces)} visible")
    if content.scene is not None:
        parts.append(prose.scene(content.scene if not parts else Scene(content.scene.head)))
    if content.texts:
        parts.append(f"lettering that {prose.reading(content.texts)}")
    if content.coloring is not None:
        parts.append(f"color palette of {prose.colors(content.coloring)}")
    prose.sentences.append(", ".join(parts) or "unspecified subject")
    return prose


def _inspector(content: Content) -> Phrases:
    """Everything: places, sizes, scores, all text word for word, shares of colours."""
    prose = Phrases()
    if not (content.things or content.scene or content.faces or content.texts):
        prose.sentences.append(grammar.sentence(NOTHING))
    for thing in content.things:
        prose.sentences.append(_inspected(prose, thing))
    if content.scene is not None:
        score = f"score {content.scene.head.score:.2f}"
        prose.sentences.append(f"Label of the whole: {prose.scene(content.scene)} ({score}).")
    if content.faces:
        words = prose.faces(content.faces)
        places = _places([face.box for face in content.faces])
        prose.sentences.append(grammar.sentence(f"{words}: {places}"))
    for number, line in enumerate(content.texts[:MOST_LINES], 1):
        read = prose.verbatim(line)
        prose.sentences.append(f"Text line {number}, {_where(line.box)}, {read}.")
    if content.palette:
        shares = [prose.share(color) for color in content.palette]
        prose.sentences.append(f"Colours: {', '.join(shares)}.")
    _warn(prose, content)
    return prose


def _inspected(prose: Phrases, thing: Thing) -> str:
    """ "What looks like a cup: at the top left, 4% of the picture (probability 0.61)."."""
    words = prose.things([replace(thing, surface=None, placed=False)])
    if thing.placed and thing.count == 1 and (side := _side(thing.boxes[0])):
        where = _where(thing.boxes[0])
        prose.say(Topic.SIDE, where, side, thing.belief, of=thing.noun)
    score = f"probability {thing.belief:.2f}"
    return grammar.sentence(f"{words}: {_places(thing.boxes)} ({score})")


def _places(boxes: list[Box] | tuple[Box, ...]) -> str:
    return "; ".join(f"{_where(box)}, {box.area:.0%} of the picture" for box in boxes)


def _where(box: Box) -> str:
    """ "at the top left"; a thing that fills much of a side is not at it."""
    across, down = box.center
    words = (("top", "", "bottom")[_third(down)], ("left", "", "right")[_third(across)])
    return "at the " + (" ".join(word for word in words if word) or "center")


def _side(box: Box) -> str:
    return ("left", "", "right")[_third(box.center[0])]


def _third(position: float) -> int:
    return min(int(position * 3), 2)


def _place(content: Content) -> Scene | None:
    """The scene, where it is a place around things."""
    return content.scene if content.things and content.scene and content.scene.is_place else None


def _warn(prose: Phrases, content: Content) -> None:
    if content.nsfw is not None:
        prose.sentences.append(f"The picture {prose.warning(content.nsfw)}.")


def _hashtag(noun: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in noun).split()
    return "#" + "".join(word[:1].upper() + word[1:] for word in words)


def _within(limit: int, write: Writer) -> Writer:
    """``write`` with as much of the content as fits into ``limit`` characters."""

    def fitted(content: Content) -> Phrases:
        tried = (write(less) for less in _less_and_less(content))
        return next(prose for prose in tried if len(" ".join(prose.sentences)) <= limit)

    return fitted


def _less_and_less(content: Content) -> Iterator[Content]:
    """The content, then without this and that, at last without anything."""
    yield content
    if content.things or content.faces or content.scene:
        content = replace(content, texts=())
        yield content
    if content.things or content.faces or content.scene or content.texts:
        content = replace(content, coloring=None)
        yield content
    plain = tuple(replace(thing, detail=None) for thing in content.things)
    scene = content.scene and Scene(content.scene.head)
    yield replace(content, things=plain, scene=scene)
    for most in range(len(plain) - 1, 0, -1):
        yield replace(content, things=plain[:most], scene=scene if most > 1 else None)
    yield Content()


WRITERS: dict[Role, Writer] = {
    Role.GENERAL: _general,
    Role.ALTTEXT: _within(ALT_TEXT, _alt_text),
    Role.CAPTION: _within(CAPTION, _caption),
    Role.INSPECTOR: _inspector,
    Role.PROMPT: _prompt,
    Role.TWEET: _within(TWEET, _tweet),
}
