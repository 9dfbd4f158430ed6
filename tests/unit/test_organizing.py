"""Instructions are read, and pictures grouped, by plain rules."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ocelli.domain.images import Coordinates
from ocelli.domain.organizing import (
    MAX_GROUPS,
    NOT_UNDERSTOOD,
    PLACES_HAVE_NO_NAMES,
    Criterion,
    Group,
    by_name,
    by_property,
    merged,
    read_instruction,
    usable_name,
)
from ocelli.domain.picture_facts import PictureFacts


def a_picture(*tags: str, **more: object) -> PictureFacts:
    moment = datetime(2025, 3, 9, tzinfo=UTC)
    plain = PictureFacts(
        uuid.uuid4(), "a.png", None, "A dog.", None, tags, None, "png", 4, 3, moment, moment
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def shapes(groups: list[Group]) -> dict[str, int]:
    return {each.name: len(each.image_ids) for each in groups}


@pytest.mark.parametrize(
    ("intent", "criterion", "names"),
    [
        ("Sort by year", Criterion.YEAR, ()),
        ("sort them by date, newest first", Criterion.MONTH, ()),
        ("one folder per day", Criterion.DAY, ()),
        ("Group by dominant colour", Criterion.COLOR, ()),
        ("Sort my photos by city", Criterion.PLACE, ()),
        ("by where they were taken", Criterion.PLACE, ()),
        ("by file format", Criterion.FORMAT, ()),
        ("with text or without text", Criterion.TEXT, ()),
        ("into folders by topic", Criterion.TAGS, ()),
        ("into folders", Criterion.TAGS, ()),
        ("Sort into seas, hills and cities.", Criterion.NAMED, ("seas", "hills", "cities")),
        ("into folders named Cats; Dogs", Criterion.NAMED, ("Cats", "Dogs")),
        ('put them in "Cats and dogs" or "Other"', Criterion.NAMED, ("Cats and dogs", "Other")),
        ("into days and months", Criterion.DAY, ()),
        ("into Cats, cats", Criterion.TAGS, ()),
    ],
)  # fmt: skip
def test_instructions(intent: str, criterion: Criterion, names: tuple[str, ...]) -> None:
    read = read_instruction(intent)
    assert (read.criterion, read.names) == (criterion, names)


def test_what_is_not_understood_is_said() -> None:
    assert read_instruction("Sort by damage severity").notes == (NOT_UNDERSTOOD,)
    assert read_instruction("by place").notes == (PLACES_HAVE_NO_NAMES,)
    assert read_instruction("x" * 2_000).criterion is Criterion.TAGS


def test_pictures_of_a_city_share_a_place() -> None:
    louvre, bastille = Coordinates(48.8606, 2.3376), Coordinates(48.8532, 2.3691)
    auckland, nowhere = Coordinates(-36.8485, 174.7633), a_picture()
    at = [a_picture(location=place) for place in (louvre, bastille, auckland)]
    groups = by_property(Criterion.PLACE, [*at, nowhere])
    assert shapes(groups) == {"36.85° S, 174.76° E": 1, "48.86° N, 2.34° E": 2}


def test_distances() -> None:
    paris, london = Coordinates(48.8566, 2.3522), Coordinates(51.5074, -0.1278)
    assert paris.km_to(london) == pytest.approx(343.6, abs=1)
    assert Coordinates(0, 179.95).km_to(Coordinates(0, -179.95)) == pytest.approx(11.1, abs=0.1)
    assert Coordinates(90, 0).km_to(Coordinates(-90, 0)) == pytest.approx(20015, abs=1)
    assert paris.km_to(paris) == 0


def test_tags_that_tell_apart_come_first() -> None:
    dogs = [a_picture("photo", "Dog"), a_picture("photo", "dog", "grass")]
    cars = [a_picture("photo", "car"), a_picture("car", "photo")]
    alone = a_picture("soup")
    groups = by_property(Criterion.TAGS, [*dogs, *cars, alone, a_picture()])
    assert shapes(groups) == {"car": 2, "Dog": 2}
    assert shapes(by_property(Criterion.TAGS, dogs)) == {"Dog": 2}
    assert by_property(Criterion.TAGS, [a_picture("dark brown"), a_picture("Dark brown")]) == []


def test_properties() -> None:
    march, may = a_picture(), a_picture(taken_at=datetime(2025, 5, 1, tzinfo=UTC), color="red")
    square = a_picture(width=3, visible_text="STOP", format="jpeg")
    pictures = [march, may, square]
    assert shapes(by_property(Criterion.MONTH, pictures)) == {"2025-03": 2, "2025-05": 1}
    assert shapes(by_property(Criterion.DAY, pictures)) == {"2025-03-09": 2, "2025-05-01": 1}
    assert shapes(by_property(Criterion.YEAR, pictures)) == {"2025": 3}
    assert shapes(by_property(Criterion.COLOR, pictures)) == {"red": 1}
    assert shapes(by_property(Criterion.FORMAT, pictures)) == {"JPEG": 1, "PNG": 2}
    assert shapes(by_property(Criterion.ORIENTATION, pictures)) == {"Landscape": 2, "Square": 1}
    assert shapes(by_property(Criterion.TEXT, pictures)) == {"With text": 1, "Without text": 2}


def test_names_take_what_fits_them_best() -> None:
    tagged, near, far = a_picture("cat"), a_picture(), a_picture()
    cosines = {"Cats": {near.id: 0.3}, "Dogs": {near.id: 0.4, tagged.id: 0.9}}
    groups = by_name(["Cats", "Dogs"], [tagged, near, far], cosines)
    assert {each.name: each.image_ids for each in groups} == {
        "Cats": (tagged.id,),
        "Dogs": (near.id,),
    }


def test_proposals_are_made_usable() -> None:
    a, b = uuid.uuid4(), uuid.uuid4()
    groups = merged([Group("Cats/", (a, a)), Group("cats", (a, b)), Group("//", (b,))])
    assert groups == [Group("Cats", (a, b))]
    many = merged(Group(str(n), (uuid.uuid4(),)) for n in range(MAX_GROUPS + 9))
    assert len(many) == MAX_GROUPS
    assert usable_name("..") is None
    assert usable_name("\0" * 300) is None
    assert usable_name("ä" * 300) == "ä" * 255
