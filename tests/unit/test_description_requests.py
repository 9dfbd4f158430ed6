"""Which questions ask for a description in prose."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.backends.local.conversation.description_requests import read
from ocelli.domain.chat import ChatMessage, Conversation, Format, PictureRef, Tool
from ocelli.domain.questions import MAX_PROMPT

PICTURE = PictureRef("data:,x", "messages[0].content[1].image_url.url", 0, 1)


def asked(text: str, *rules: str) -> Conversation:
    told = (ChatMessage("system", rules),) if rules else ()
    shown = replace(PICTURE, message=len(told))
    return Conversation("m", (*told, ChatMessage("user", (text, shown))))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "English"),
        ("What’s in this image?", "English"),
        ("Describe this image in detail, including its colours and any text.", "English"),
        ("Describe it in one sentence. Don't use hashtags.", "English"),
        ("Can you describe it for a blind person?", "English"),
        ("What do you see?", "English"),
        ("Please write alt text for this photo.", "English"),
        ("Create a caption with exactly one sentence that describes the subject.", "English"),
        ("A short description, please", "English"),
        ("Tell me about this picture", "English"),
        ("What is happening here? Answer briefly.", "English"),
        ("Describe this image in German.", "German"),
        ("Beschreibe dieses Bild.", "German"),
        ("Was ist auf dem Foto zu sehen?", "German"),
        ("Décris cette image", "French"),
        ("¿Qué hay en la foto?", "Spanish"),
        ("Describe la imagen", "Spanish"),
        ("描述这张图片", "Chinese"),
        ("この画像を説明してください", "Japanese"),
    ],
)
def test_descriptions(text: str, language: str) -> None:
    question = read(asked(text))
    assert question is not None
    assert question.language == language
    assert question.prompt == (text or None)


@pytest.mark.parametrize(
    "text",
    [
        "How many cats are there?",
        "What does the sign say?",
        "Describe this picture. How many dogs are there?",
        "What are in these images? Is there any difference between them?",
        "Compare the two pictures and describe them.",
        "Suggest relevant tags that describe its key themes.",
        "Describe this image as JSON.",
        "Is there a cat?",
        "Just transcribe the text in this image and preserve the formatting",
        "What color is the cup?",
        "List the colours in the image",
        "Wie viele Katzen sind auf dem Bild?",
        "Who is this?",
        "Hello",
    ],
)
def test_other_questions(text: str) -> None:
    assert read(asked(text)) is None


def test_what_a_system_says_is_part_of_it() -> None:
    question = read(asked("", "You write captions in French."))
    assert question is not None
    assert (question.prompt, question.language) == ("You write captions in French.", "French")
    assert read(asked("What is this?", "Answer in JSON.")) is None
    assert read(asked("What is this?", "Never answer in JSON.")) is not None


def test_requests_of_another_form() -> None:
    plain = asked("Describe it.")
    answered = ChatMessage("assistant", ("A cat.",))
    for other in (
        replace(plain, format=Format.JSON_OBJECT),
        replace(plain, tools=(Tool("f", {}),)),
        replace(plain, demanding=("tools",)),
        replace(plain, messages=(*plain.messages, answered)),
        Conversation("m", (ChatMessage("user", ("Describe it.",)),)),
        asked("Describe it." + " " * MAX_PROMPT + "."),
    ):
        assert read(other) is None
    again = replace(
        plain, messages=(*plain.messages, answered, ChatMessage("user", ("Describe it again.",)))
    )
    assert read(again) is not None


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    read(asked(text, text))
