"""Requests to describe pictures in prose, told from all other questions about them. Pure.

A request is one if a sentence of it asks for a description, and none asks for something else, for
a comparison, or for a form such as JSON or keywords. Its other sentences say how to describe.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocelli.backends.local.conversation import transcription
from ocelli.backends.local.conversation.question_answering import (
    COMPARE,
    LONGEST,
    describes,
    first_detail,
)
from ocelli.domain.chat import Format
from ocelli.domain.languages import DEFAULT, LANGUAGES
from ocelli.domain.questions import MAX_PROMPT, Question

if TYPE_CHECKING:
    from ocelli.domain.chat import Conversation

MOST_SENTENCES = 40

_ASKS = re.compile(
    r"(?:^|(?<!that )(?<!which )(?<!best )(?<!than )(?<!not )(?<!n't )(?<!without )\b)"
    r"(?:describe|describing|caption|summari[sz]e)\b(?!\s+(?:says?|reads?)\b)"
    r"|\b(?:write|give|create|generate|provide|make|produce|compose|return|output|draft|want|need|"
    r"like|get)\b[^.?!]{0,60}\b(?:description|caption|alt[- ]?text|summary)\b"
    r"|^(?:an? |the )?(?:[\w-]+ ){0,3}(?:description|caption|alt[- ]?text)\b"
    r"|\btell me (?:about\b|what (?:you see|is|it)\b|what's\b)"
    r"|\bwhat (?:can you|do you|you) see\b"
)
_FORM = re.compile(
    r"\b(?:json|yaml|xml|csv|tags|keywords?|hashtags?|category|categories|classif\w+|"
    r"file ?names?|comma[- ]separated|yes or no|true or false)\b"
)
_NOT = re.compile(r"\b(?:not|don't|never|without|avoid|no)\b")
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]?")
# By language, as people ask for a description in it.
_ELSEWHERE = {
    "German": r"\b(?:bild)?beschreib\w*"
    r"|\bwas (?:ist|siehst du|sieht man|zeigt|kann man|erkennst du)\b.*"
    r"\b(?:bild|foto|das|hier|drauf|darauf)",
    "French": r"\bd[ée]cri(?:s|re|vez|t)\b|\bque (?:vois-tu|voyez-vous|montre|voit-on)\b"
    r"|\bqu'(?:y a-t-il|est-ce qu[e'] ?(?:il y a|on voit|tu vois|vous voyez))",
    "Spanish": r"\bdescr[ií]b(?:a|eme|ir|elo|ela)\b|\bdescribe (?:la|el|los|las|lo|est[ae])\b"
    r"|\bqu[ée] (?:hay|ves|se ve|muestra|aparece)\b",
    "Italian": r"\bdescriv(?:i|ere|a|imi)\b|\bcosa (?:c'è|vedi|si vede|mostra)",
    "Portuguese": r"\bdescrev(?:a|e|er)\b|\bo que (?:há|tem|vês|você vê|mostra|aparece)\b",
    "Dutch": r"\bbeschrijf\b|\bwat (?:is er|zie je|staat er)\b",
    "Polish": r"\bopisz\b|\bco (?:jest|widać|widzisz|przedstawia)\b",
    "Czech": r"\bpopi[šs]\b|\bco (?:je na|vidíš)\b",
    "Swedish": r"\bbeskriv\b|\bvad (?:ser du|visar|finns)\b",
    "Turkish": r"\b(?:betimle|tanımla|açıkla)\w*\b|\bne (?:görüyorsun|var)\b",
    "Russian": r"\bопиши(?:те)?\b|\bчто (?:на|изображено|ты видишь|вы видите)\b",
    "Ukrainian": r"\bопиши(?:іть)?\b|\bщо (?:на|зображено|ти бачиш)\b",
    "Chinese": r"描述|(?:图|圖|照)(?:片|像|中|里)?.{0,4}(?:有什么|有什麼|是什么|是什麼)",
    "Japanese": r"(?:説明|描写|記述)して|何が(?:写|映|見)",
    "Korean": r"(?:설명|묘사)해|무엇이 (?:보|있)",
    "Arabic": r"صف |ماذا (?:ترى|يوجد|في)",
    "Hindi": r"वर्णन|क्या (?:दिख|है)",
}
_LANGUAGES = {name: re.compile(pattern) for name, pattern in _ELSEWHERE.items()}
_NAMED = re.compile(
    r"\bin (?:the )?(" + "|".join(sorted(map(re.escape, map(str.casefold, LANGUAGES)))) + r")\b"
)
_BY_FOLDED = {name.casefold(): name for name in LANGUAGES}


def read(conversation: Conversation) -> Question | None:
    """What is to be described, and how; None if the last message asks for something else."""
    if not conversation.pictures or conversation.messages[-1].role != "user":
        return None
    if conversation.format is not Format.TEXT or conversation.tools or conversation.demanding:
        return None
    asked, rules = conversation.question.strip(), conversation.instructions.strip()
    prompt = "\n\n".join(filter(None, (rules, asked)))
    if len(prompt) > MAX_PROMPT or _FORM.search(_without_prohibitions(rules)):
        return None
    language = _language(asked) if asked else DEFAULT
    if language is None or _only_text(asked, rules):
        return None
    named = _NAMED.search(prompt.casefold())
    return Question(prompt=prompt or None, language=_BY_FOLDED[named[1]] if named else language)


def _only_text(asked: str, rules: str) -> bool:
    return transcription.asked(asked) or ("?" not in asked and transcription.asked(rules, asked))


def _language(asked: str) -> str | None:
    """The language that asks for a description; None if nothing does, or for more."""
    asked = asked[:LONGEST]
    found = None
    sentences = _SENTENCE.findall(asked.replace("’", "'").casefold())[:MOST_SENTENCES]
    if _FORM.search(_without_prohibitions(asked)):
        return None
    for sentence in map(str.strip, sentences):
        language = _asks(sentence)
        if language is None and (sentence.endswith(("?", "？")) or COMPARE.search(sentence)):
            return None
        found = found or language
    return found


def _asks(sentence: str) -> str | None:
    """The language of a sentence that asks for a description; None for any other sentence."""
    if COMPARE.search(sentence):
        return None
    for name, pattern in _LANGUAGES.items():
        if pattern.search(sentence):
            return name
    match = _ASKS.search(sentence)
    if match is None:
        return DEFAULT if describes(sentence) else None
    detail = first_detail(sentence)
    return DEFAULT if detail is None or match.start() <= detail else None


def _without_prohibitions(text: str) -> str:
    sentences = _SENTENCE.findall(text.casefold().replace("’", "'"))
    return " ".join(each for each in sentences if not _NOT.search(each))
