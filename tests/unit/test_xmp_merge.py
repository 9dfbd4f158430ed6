"""Words merged into XMP: what others wrote stays, and a second time changes nothing."""

from __future__ import annotations

import difflib
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import examples
from tests.unit.xmp_samples import DIGIKAM, IMMICH, LIGHTROOM, SAMPLES

from ocelli.xmp import packet
from ocelli.xmp.merge import EMPTY, merge
from ocelli.xmp.packet import MAX_BYTES, MAX_NESTING, NotXmp, Packet
from ocelli.xmp.record import PictureState, Record
from ocelli.xmp.words import (
    ALT_TEXT,
    DESCRIPTION,
    EXTENDED_DESCRIPTION,
    HIERARCHY,
    IMAGE_DESCRIPTION,
    MAX_ALT_TEXT,
    OWN,
    SUBJECTS,
    TAGS,
    Property,
    Words,
    short,
)

PICTURE = PictureState("a" * 64, 1000, 2000)
NOW = "2026-11-30T12:00:00Z"
WORDS = Words(
    "A dog & a cat <outdoors>.", (("dog",), ("Animals", "cat")), "ocelli-local 1", "standard", 0.8
)


def merged(before: bytes | str | None, words: Words = WORDS, embedded: str | None = None) -> bytes:
    data = before.encode() if isinstance(before, str) else before
    packet = Packet(data) if data is not None else None
    found = merge(packet, words, PICTURE, NOW, Packet(embedded.encode()) if embedded else None)
    assert found.data is not None
    return found.data


def texts(data: bytes, property: Property) -> list[str]:
    return Packet(data).texts(property.uri, property.name)


def edited(data: bytes, old: str, new: str) -> bytes:
    assert old.encode() in data
    return data.replace(old.encode(), new.encode())


def test_a_new_packet_has_all_properties() -> None:
    data = merged(None)
    for property in (DESCRIPTION, IMAGE_DESCRIPTION, ALT_TEXT, EXTENDED_DESCRIPTION):
        assert texts(data, property) == ["A dog & a cat <outdoors>."]
    assert texts(data, SUBJECTS.property) == ["dog", "cat"]
    assert texts(data, HIERARCHY.property) == ["dog", "Animals|cat"]
    assert texts(data, TAGS.property) == ["dog", "Animals/cat"]
    record = Record.of(Packet(data))
    assert (record.model, record.level, record.confidence) == (
        "ocelli-local 1",
        "standard",
        "0.8000",
    )
    assert record.time == NOW


@pytest.mark.parametrize("name", SAMPLES)
def test_what_others_wrote_stays_line_for_line(name: str) -> None:
    before = SAMPLES[name]
    after = merged(before).decode()
    steps = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    assert {step for step, *_ in steps.get_opcodes()} == {"equal", "insert"}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_second_run_changes_nothing(name: str) -> None:
    data = merged(SAMPLES[name])
    again = merge(Packet(data), WORDS, PICTURE, "2027-01-01T00:00:00Z")
    assert again.data is None


def test_other_words_replace_ours_alone() -> None:
    other = replace(WORDS, description="Two dogs.", tags=(("dog",), ("tree",)), model="x 2")
    data = merged(merged(LIGHTROOM), other)
    assert texts(data, DESCRIPTION) == ["Two dogs."]
    assert texts(data, SUBJECTS.property) == ["Alps", "Places", "dog", "tree"]
    assert texts(data, TAGS.property) == ["Places/Alps", "dog", "tree"]
    assert data.count(b"<ocelli:model>") == 1
    assert merge(Packet(data), other, PICTURE, NOW).data is None


def test_without_words_what_is_left_is_as_it_was() -> None:
    none = replace(WORDS, description="", tags=())
    for sample in (LIGHTROOM, IMMICH):
        data = merged(merged(sample), none)
        ours = Packet(data).descriptions[-1]
        assert {each.name for each in ours.children} >= {"model", "picture"}
        before = {each for each in sample.splitlines() if each.strip()}
        assert before <= set(data.decode().splitlines())
        assert texts(data, DESCRIPTION) == []


def test_a_caption_of_a_person_keeps_the_machine_out_of_all_captions() -> None:
    """Immich shows the one, digiKam the other: a machine's would hide it."""
    data = merged(DIGIKAM)
    assert texts(data, DESCRIPTION) == ["Grandmother at home", "Oma zu Hause"]
    assert texts(data, IMAGE_DESCRIPTION) == []
    assert texts(data, ALT_TEXT) == ["A dog & a cat <outdoors>."]


def test_a_caption_inside_the_picture_counts_as_well() -> None:
    data = merged(None, embedded=DIGIKAM)
    assert texts(data, DESCRIPTION) == texts(data, IMAGE_DESCRIPTION) == []
    assert texts(data, TAGS.property) == ["People/Grandmother", "dog", "Animals/cat"]
    assert merge(Packet(data), WORDS, PICTURE, NOW, Packet(DIGIKAM.encode())).data is None


def test_an_edited_text_is_a_persons_from_then_on() -> None:
    data = edited(merged(None), "<tiff:ImageDescription>", "<tiff:ImageDescription  >")
    first = data.index(b"A dog &amp;")
    data = data[:first] + b"My dog &amp;" + data[first + len(b"A dog &amp;") :]
    after = merged(data, replace(WORDS, description="Something else."))
    assert texts(after, DESCRIPTION) == ["My dog & a cat <outdoors>."]
    assert texts(after, IMAGE_DESCRIPTION) == [], "it would be shown instead of the person's"
    assert texts(after, ALT_TEXT) == ["Something else."]


def test_what_a_person_removed_is_not_written_again() -> None:
    data = edited(merged(None), "     <rdf:li>dog</rdf:li>\n", "")
    data = data[: data.index(b"   <dc:description>")] + data[data.index(b"   <tiff:ImageD") :]
    assert merge(Packet(data), WORDS, PICTURE, NOW).data is None
    after = merged(data, replace(WORDS, description="New.", tags=(("dog",), ("tree",))))
    assert texts(after, DESCRIPTION) == []
    assert texts(after, SUBJECTS.property) == texts(after, TAGS.property) == ["tree"]


def test_a_translation_by_a_person_stays_beside_ours() -> None:
    ours = '<rdf:li xml:lang="x-default">A dog &amp; a cat &lt;outdoors&gt;.</rdf:li>'
    data = edited(merged(None), ours, f'{ours}<rdf:li xml:lang="de">Ein Hund</rdf:li>')
    after = merged(data, replace(WORDS, description="New.", level="thorough"))
    assert texts(after, DESCRIPTION) == ["A dog & a cat <outdoors>.", "Ein Hund"]


def test_tags_of_a_person_come_first_and_once() -> None:
    words = replace(WORDS, tags=(("alps",), ("dog",)))
    data = merged(LIGHTROOM, words)
    assert texts(data, SUBJECTS.property) == ["Alps", "Places", "dog"]
    assert texts(data, HIERARCHY.property) == ["Places|Alps", "alps", "dog"]
    assert texts(data, TAGS.property) == ["Places/Alps", "alps", "dog"]


def test_separators_in_names_make_no_levels() -> None:
    data = merged(None, replace(WORDS, tags=(("black/white",), ("a|b",))))
    assert texts(data, TAGS.property) == ["black\u2215white", "a|b"]
    assert texts(data, HIERARCHY.property) == ["black/white", "a\u00a6b"]


def test_a_record_of_attributes_is_read_and_replaced() -> None:
    """Exiv2 writes properties with one value like this."""
    names = Record.of(Packet(merged(LIGHTROOM))).fields
    data = merged(LIGHTROOM).decode()
    for name, value in names.items():
        element = f"   <ocelli:{name}>{value}</ocelli:{name}>\n"
        assert element in data
        data = data.replace(element, "")
        data = data.replace(" xmlns:ocelli=", f" ocelli:{name}='{value}' xmlns:ocelli=")
    assert merge(Packet(data.encode()), WORDS, PICTURE, NOW).data is None
    after = merged(data, replace(WORDS, description="Two dogs.", model="x 2"))
    assert Record.of(Packet(after)).model == "x 2"
    for name in names:
        assert after.count(f"ocelli:{name}=".encode()) == 0
        assert after.count(f"<ocelli:{name}>".encode()) == 1
    assert texts(after, DESCRIPTION) == ["Two dogs."]


def test_characters_that_xml_cannot_hold_are_left_out() -> None:
    data = merged(None, replace(WORDS, description="a\x00b\ud800\x1b c", tags=(("\x07x",),)))
    assert texts(data, DESCRIPTION) == ["ab c"]
    assert texts(data, SUBJECTS.property) == ["x"]


@pytest.mark.parametrize(
    "property", ['dc:subject="one"', 'tiff:ImageDescription="mine"', 'dc:description="mine"']
)
def test_a_property_of_another_form_stays(property: str) -> None:
    before = LIGHTROOM.replace('xmp:Rating="4"', f'xmp:Rating="4"\n   {property}')
    before = before.replace("xmlns:dc=", 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc=')
    before = before.replace("dc:subject>", "dc:other>")
    data = merged(before)
    assert property.encode() in data
    if "mine" in property:
        assert [*texts(data, DESCRIPTION), *texts(data, IMAGE_DESCRIPTION)] == ["mine"]
    else:
        assert texts(data, SUBJECTS.property) == ["one"]


@pytest.mark.parametrize(
    "inside",
    [
        ">mine",
        " rdf:parseType='Resource'><rdf:value>mine</rdf:value><dc:source>me</dc:source>",
        "><rdf:Description><rdf:value>mine</rdf:value></rdf:Description>",
        "><rdf:Alt><rdf:_1 xml:lang='x-default'>mine</rdf:_1></rdf:Alt>",
        "><rdf:Alt><rdf:li/><rdf:_2>mine</rdf:_2></rdf:Alt>",
        "><rdf:Bag><rdf:li rdf:parseType='Resource'><rdf:value>mine</rdf:value></rdf:li></rdf:Bag>",
        "><rdf:Alt><rdf:li xml:lang='de' rdf:value='mine'/></rdf:Alt>",
        " rdf:resource='mine'>",
        " rdf:value='mine'>",
        "></{name}><{name}>mine",
    ],
)
@pytest.mark.parametrize("name", ["dc:description", "dc:subject"])
def test_words_in_forms_that_are_rare_are_a_persons_as_well(name: str, inside: str) -> None:
    written = f"<{name}{inside.format(name=name)}</{name}>"
    block = (
        f"<rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/'>{written}</rdf:Description>"
    )
    data = merged(IMMICH.replace("</rdf:RDF>", f"{block}</rdf:RDF>"))
    if name == "dc:description":
        assert written.encode() in data
        assert not any("dog" in text for text in texts(data, DESCRIPTION))
        assert not texts(data, IMAGE_DESCRIPTION)
    else:
        assert b"mine" in data
        assert any("mine" in text for text in texts(data, TAGS.property)), "before ours"


def test_very_many_records_and_blocks_take_seconds() -> None:
    own = f'<ocelli:a xmlns:ocelli="{OWN}">x</ocelli:a>'
    about = "<rdf:Description>{}</rdf:Description>"
    started = time.process_time()
    for hostile in (about.format(own * 4_000), about.format(own) * 4_000):
        data = merged(IMMICH.replace("</rdf:RDF>", f"{hostile}</rdf:RDF>"))
        assert b"ocelli:a>" not in data
    assert time.process_time() - started < 8, "with every pair compared it takes minutes"


@pytest.mark.parametrize(
    "empty",
    [
        "<dc:subject/>",
        "<dc:subject><rdf:Bag/></dc:subject>",
        "<dc:subject> <rdf:Bag> </rdf:Bag></dc:subject>",
        "<dc:description><rdf:Alt><rdf:li xml:lang='x-default'/></rdf:Alt></dc:description>",
    ],
)
def test_empty_properties_are_filled_and_never_doubled(empty: str) -> None:
    block = (
        f"<rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/'>{empty}</rdf:Description>"
    )
    before = IMMICH.replace("</rdf:RDF>", f"{block}</rdf:RDF>")
    data = merged(before)
    assert texts(data, SUBJECTS.property) == ["dog", "cat"]
    assert texts(data, DESCRIPTION) == ["A dog & a cat <outdoors>."]
    for name in (b"<dc:subject", b"<dc:description"):
        assert data.count(name) == 1


def test_other_roots_prefixes_and_encodings() -> None:
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    bare = f'<RDF xmlns="{rdf}"><Description about="uuid:1"/></RDF>'
    empty = f'<r:RDF xmlns:r="{rdf}"/>'
    wide = LIGHTROOM.encode("utf-16")
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?>\n' + empty.replace(
        "/>", "><!--ü--></r:RDF>"
    )
    for before in (bare.encode(), empty.encode(), wide, latin.encode("latin-1")):
        data = merged(before, replace(WORDS, tags=(("可愛い",),)))
        assert texts(data, SUBJECTS.property)[-1] == "可愛い"
    assert merged(wide)[:2] == wide[:2]
    assert "ü".encode("latin-1") in merged(latin.encode("latin-1"))


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not XML"),
        (b"\xff\xd8\xff\xe0 a JPEG", "not UTF-8"),
        (b"rating: 5", "not XML"),
        (b"<html/>", "no rdf:RDF"),
        (LIGHTROOM[:-300].encode(), "not XML"),
        ((BOMB + "<x>&b;</x>").encode(), "document type"),
        ((OUTSIDE + "<x>&a;</x>").encode(), "document type"),
        (b"<!DOCTYPE x SYSTEM 'http://example.com/x.dtd'><x/>", "document type"),
        (b"<a>" * (MAX_NESTING + 1), "nested"),
        (b"<a>" + b"<b/>" * 1000 + b"</a>", "elements"),
        (b" " * (MAX_BYTES + 1), "MB"),
        (b"<?xml version='1.0' encoding='utf-7'?><a/>", "encoding"),
        (b"\xff\xfe<\x00", "not XML"),
    ],
    ids=range(13),
)
def test_hostile_and_broken_data_is_refused(
    data: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packet, "MAX_ELEMENTS", 1000)
    with pytest.raises(NotXmp, match=said):
        Packet(data)


names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
tags = st.lists(st.tuples(names), max_size=4).map(tuple)
words = st.builds(replace, st.just(WORDS), description=st.text(max_size=30), tags=tags)


@examples(30)
@given(st.sampled_from([*SAMPLES.values(), EMPTY.decode()]), words, words)
def test_any_words_after_any_words(sample: str, one: Words, other: Words) -> None:
    """What a person wrote is there after each, ours once, and nothing changes a second time."""
    data = sample.encode()
    for said in (one, other):
        found = merge(Packet(data), said, PICTURE, NOW)
        data = found.data or data
        assert merge(Packet(data), said, PICTURE, NOW).data is None
        for tag_list in (SUBJECTS, HIERARCHY, TAGS):
            has = texts(data, tag_list.property)
            before = texts(sample.encode(), tag_list.property)
            assert has[: len(before)] == before
            assert len({each.casefold() for each in has}) == len(has)
    lines = {line for line in sample.splitlines() if line.strip()}
    assert lines <= set(data.decode().splitlines())


def test_an_alternative_text_ends_with_a_sentence_or_a_word() -> None:
    sentence = "There is a dog. "
    assert short(sentence * 40).endswith("dog.")
    for text in (sentence * 40, "word " * 100, "x" * 999):
        assert len(short(text)) <= MAX_ALT_TEXT
    assert short("One. Two.") == "One. Two."
    assert short("犬がいます。" * 60).endswith("。")
    assert len(short("犬" * 300)) == MAX_ALT_TEXT
