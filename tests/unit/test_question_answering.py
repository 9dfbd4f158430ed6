"""Questions that people ask, answered from findings alone."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.backends.local.conversation.facts import PictureFacts
from ocelli.backends.local.conversation.question_answering import (
    NEEDS_A_MODEL,
    NO_IDENTITY,
    NO_PICTURE,
    NOT_FOUND,
    answer,
)
from ocelli.domain.claims import Claim, ClaimType
from ocelli.domain.findings import (
    Box,
    Color,
    DetectedObject,
    Face,
    Findings,
    Safety,
    SceneLabel,
    TextLine,
)

HERE, THERE = Box(0.1, 0.1, 0.3, 0.3), Box(0.7, 0.7, 0.9, 0.9)
CAT = PictureFacts(
    Findings(
        "ocelli-local",
        "1",
        objects=(
            DetectedObject("cat", 0.93, HERE),
            DetectedObject("cup", 0.9, THERE),
            DetectedObject("cup", 0.6, HERE),
            DetectedObject("red circle", 0.9, HERE),
        ),
        texts=(TextLine("EXIT  NOW", 0.95, HERE),),
        colors=(Color("#aa0000", "red", 0.5), Color("#fefefe", "light grey", 0.4)),
        safety=Safety(0.02),
        description="A cat and two cups.",
        claims=(
            Claim("There is a cat.", ClaimType.OBJECT, "cat", belief=0.95),
            Claim("There are two cups.", ClaimType.COUNT, "cup", 2, belief=0.7),
            Claim("The cat is a Manx.", ClaimType.OBJECT, "Manx", belief=0.4),
        ),
    ),
    "a" * 64,
    dhash=0b1011,
    width=640,
    height=480,
)
CROWD = PictureFacts(
    Findings(
        "ocelli-local",
        "1",
        objects=(DetectedObject("person", 0.9, HERE),),
        scenes=(SceneLabel("beach", 0.8),),
        faces=(Face(0.9, HERE), Face(0.9, THERE)),
        colors=(Color("#0000aa", "blue", 0.9),),
        safety=Safety(0.8),
        description="A person. The setting is probably a beach.",
        claims=(Claim("There is a person.", ClaimType.OBJECT, "person", belief=0.95),),
    ),
    "b" * 64,
    dhash=2**64 - 1,
    width=320,
    height=240,
)
NO_ONE = f"No {{}} was found. {NOT_FOUND}"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("", "A cat and two cups."),
        ("Describe this image.", "A cat and two cups."),
        ("What’s in this picture?", "A cat and two cups."),
        ("what is this", "A cat and two cups."),
        ("What do you see?", "A cat and two cups."),
        ("Can you tell me what is shown here?", "A cat and two cups."),
        ("Please write a caption for it", "A cat and two cups."),
        ("Write alt text", "A cat and two cups."),
        ("What objects are visible?", "A cat and two cups."),
        ("How many cats are there?", "One cat."),
        ("how many kittens are in the image", "One cat."),
        ("How many mugs can you see?", "Probably two cups."),
        ("Count the cups.", "Probably two cups."),
        ("number of circles", "One red circle."),
        ("how many red circles are there", "One red circle."),
        ("How many animals?", "One cat."),
        ("How many dogs are there?", NO_ONE.format("dog")),
        ("How many black cats?", "One cat. Whether “black” applies was not determined."),
        ("how many words", "2 words could be read."),
        ("How many faces?", NO_ONE.format("face")),
        ("how many pictures did I send?", "one picture."),
        ("Is there a cat?", "Yes, one cat."),
        ("Are there any animals in the picture?", "Yes, one cat."),
        ("Do you see a dog?", NO_ONE.format("dog")),
        ("Does it contain a cat or a dog?", f"Yes, one cat. {NO_ONE.format('dog')}"),
        ("Is this a cat?", "Yes, one cat."),
        ("Is there any text?", "It reads: “EXIT NOW”"),
        ("What does the sign say?", "It reads: “EXIT NOW”"),
        ("Read the text to me", "It reads: “EXIT NOW”"),
        ("what's written there", "It reads: “EXIT NOW”"),
        ("Which colours are there?", "The main colours are red (50%) and light grey (40%)."),
        ("What is the color palette of the image?",
         "The main colours are red (50%) and light grey (40%)."),
        ("What color is the cat?", "The main colours are red (50%) and light grey (40%). "
         "Which thing has which colour was not determined."),
        ("Is there red in it?", "Yes: red (50%)."),
        ("Do you see any green?", "No green is among its main colours."),
        ("Is it safe for work?", "The picture is probably safe for work: 2% that it is not."),
        ("Where is the cat?", "Cat: top left."),
        ("where are the cups", "Cup: bottom right and top left."),
        ("What resolution has it?", "640 × 480 pixels."),
        ("How large is the image?", "640 × 480 pixels."),
        ("Who is this?", NO_ONE.format("person")),
        ("What is different?", "There is only one picture, nothing to compare it with. "
         "A cat and two cups."),
    ],
)  # fmt: skip
def test_one_picture(question: str, expected: str) -> None:
    assert answer(question, [CAT]).casefold() == expected.casefold()


@pytest.mark.parametrize(
    "question",
    [
        "Why is the cat sad?",
        "Write a poem about this image.",
        "What is the capital of France?",
        "Is this a good photo?",
        "Do you see anything unusual?",
        "What is the cat doing?",
        "¿Qué hay en la imagen?",
        "Was ist auf dem Bild zu sehen?",
        "What breed is it?",
    ],
)
def test_what_findings_cannot_answer(question: str) -> None:
    assert answer(question, [CAT]) == f"A cat and two cups.\n{NEEDS_A_MODEL}"


def test_who_somebody_is_is_never_told() -> None:
    for question in ("Who is this?", "Do you recognise the man?", "What is the name of the person"):
        said = answer(question, [CROWD])
        assert NO_IDENTITY in said
        assert said.startswith("Two people and two faces.")
    assert answer("Is there a woman?", [CROWD]) == "Yes, two people."


def test_several_questions_at_once() -> None:
    said = answer("You are helpful. Describe it! How many cats are there? Why is it sad?", [CAT])
    assert said == f"A cat and two cups.\nOne cat.\n{NEEDS_A_MODEL}"


def test_several_pictures() -> None:
    both = [CAT, CROWD]
    assert answer("Describe them", both).splitlines() == [
        "Picture 1: A cat and two cups.",
        "Picture 2: A person. The setting is probably a beach.",
    ]
    assert answer("What is in the second picture?", both).startswith("Picture 2: A person.")
    assert answer("Is the last image safe?", both).startswith("Picture 2: The picture may not be")
    assert answer("Which picture has a cat?", both) == "Picture 1."
    assert answer("which image shows a dog", both).startswith("No dog was found in any of them")
    assert answer("How many people?", both).splitlines() == [
        f"Picture 1: {NO_ONE.format('person')}",
        "Picture 2: Two people.",
    ]


@pytest.mark.parametrize(
    "question",
    ["Any difference between them?", "compare the two", "Are they the same?", "picture 1 vs 2"],
)
def test_differences(question: str) -> None:
    assert answer(question, [CAT, CROWD]) == (
        "Only picture 1 shows a cat and possibly two cups. Only picture 2 shows a person. "
        "Only picture 1 reads “EXIT NOW”. The main colours of picture 1 are red and light grey, "
        "those of picture 2 blue. Picture 1 has 640 × 480 pixels, picture 2 320 × 240."
    )


def test_pictures_that_are_the_same() -> None:
    assert answer("any difference?", [CAT, CAT]) == (
        "Picture 1 and picture 2 are the same file, byte for byte."
    )
    near = replace(CAT, sha256="c", dhash=0b1111)
    said = answer("any difference?", [CAT, near])
    assert said.startswith("Picture 1 and picture 2 look almost the same")
    assert said.endswith("No difference was found, though small ones may have been missed.")
    more = answer("compare", [CAT, CROWD, near]).splitlines()
    assert len(more) == 2
    assert "picture 3" in more[1]


def test_surroundings_are_compared_as_scenes() -> None:
    outdoors = Claim("The scene is outdoors.", ClaimType.SCENE, "outdoors", belief=0.9)
    cat, person = (
        replace(each, findings=replace(each.findings, claims=(*each.findings.claims, outdoors)))
        for each in (CAT, CROWD)
    )
    assert answer("compare them", [cat, person]).startswith("Both show an outdoor scene.")


def test_no_picture() -> None:
    assert answer("Hello", []) == NO_PICTURE


@given(st.text(max_size=300), st.integers(1, 3))
def test_any_text_is_answered(text: str, count: int) -> None:
    assert answer(text, [CAT, CROWD, CAT][:count])


@pytest.mark.parametrize("part", ["how many ", "what ", "is there a ", "the text ", "a", "read "])
def test_no_text_takes_long(part: str) -> None:
    start = time.thread_time()
    answer(part * 5000 + " shows?", [CAT])
    assert time.thread_time() - start < 1


def test_it_needs_no_heavy_library() -> None:
    code = (
        "import sys; from ocelli.backends.local.conversation import question_answering as a; "
        "a.answer('hi', []); print({'cv2', 'numpy', 'onnxruntime', 'pyvips'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
