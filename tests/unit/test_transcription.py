"""Which prompts ask for the text alone, and what they get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.backends.local.conversation.facts import PictureFacts
from ocelli.backends.local.conversation.transcription import asked, transcription
from ocelli.domain.findings import Box, Findings, TextLine

BOX = Box(0, 0, 1, 1)


def seen(*lines: str) -> PictureFacts:
    texts = tuple(TextLine(line, 0.9, BOX) for line in lines)
    return PictureFacts(Findings("ocelli-local", "1", texts=texts, description="A sign."), "a")


@pytest.mark.parametrize(
    "prompt",
    [
        "Output ONLY the extracted text",
        "Extract all text from this image.",
        "Extract the text. Return only the text, nothing else.",
        "Please transcribe this image",
        "Transcribe all visible text exactly as it appears, preserving line breaks.",
        "OCR this image",
        "OCR:",
        "Free OCR.",
        "Perform OCR on this image and return only the raw text.",
        "You are an OCR engine. Do not describe the image. Do not add commentary.",
        "Text Recognition:",
        "Read all the text in the image and return it verbatim.",
        "Return the plain text of this document, without any explanations or descriptions.",
        "Convert the document to markdown.",
        "Give me just the words in the picture.",
        "What’s the text? Output only the text.",
        "1. Extract every word.\n2. Transcribe text line by line.\n- If there is none, say NONE.",
        "Respond with the transcribed text only. If no text is visible, describe nothing.",
    ],
)
def test_transcriptions(prompt: str) -> None:
    assert asked(prompt)
    assert transcription([seen("EXIT", "NOW")], prompt) == "EXIT\nNOW"


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "What's in this image?",
        "Is there any text?",
        "What does the sign say?",
        "Read the text to me",
        "Describe the image and transcribe the text.",
        "Transcribe the text, then translate it into French.",
        "Extract the text and count the people.",
        "How many words are there?",
        "What colour is the text?",
        "Write a caption.",
        "Give me a description of the picture",
        "Return a JSON object with the objects",
    ],
)
def test_other_requests(prompt: str) -> None:
    assert not asked(prompt)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Output ONLY the extracted text.", ""),
        ("Transcribe. If there is no text, return an empty string.", ""),
        ("Transcribe. If there is no text, return nothing.", ""),
        ("Transcribe. If no text is found leave it empty.", ""),
        ("OCR. If there is no text, reply with NO_TEXT.", "NO_TEXT"),
        ("OCR. If there’s no readable text, respond with exactly \"No text found.\"",
         "No text found."),
        ("OCR. If the image contains no text, output 'none' and stop.", "none"),
        ("OCR. When nothing can be read, write [EMPTY].", "[EMPTY]"),
        ("OCR. If the image has no text return <none>", "<none>"),
        ("OCR. If no text is visible, say None.", "None"),
        ("OCR. If there is no text, output No text detected.", "No text detected"),
        ("OCR. If text is blurry, return UNSURE. If there is no text, return NIL.", "NIL"),
    ],
)  # fmt: skip
def test_the_empty_answer(prompt: str, answer: str) -> None:
    assert asked(prompt)
    assert transcription([seen()], prompt) == answer
    assert transcription([seen("A")], prompt) == "A"


def test_several_pictures() -> None:
    assert transcription([seen("A", "B"), seen(), seen("C")], "OCR") == "A\nB\n\nC"


@given(st.text())
def test_any_prompt_is_read(text: str) -> None:
    asked(text)
    transcription([], text)


@pytest.mark.parametrize(
    "part", ["the ", "if no ", "transcribe, ", "and then ", '"', "extract all "]
)
def test_no_prompt_takes_long(part: str) -> None:
    asked(part * 5000)
    transcription([], part * 5000)
