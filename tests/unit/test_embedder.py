"""Texts to tokens, as the model's own tokenizer makes them, and to vectors."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer

from ocelli.backends.local import model_files
from ocelli.backends.local.embedder import MiniLmEmbedder
from ocelli.backends.local.runtime import Runtime
from ocelli.backends.local.wordpieces import token_ids
from ocelli.domain.errors import Unavailable

WORDS = str(files("ocelli.backends.local.data") / "wordpieces.txt")
# Signs that every version of Unicode treats alike.
SIGNS = st.sampled_from("東京タワー한국어мирشمسשלום½Åﬁİ😀\x0c\x85\u2028\u200b\ufffd\t\n\r\u0301—«»")
TEXTS = st.text(st.characters(max_codepoint=0x17F) | SIGNS, max_size=40)


@pytest.fixture(scope="module")
def reference() -> BertWordPieceTokenizer:
    return BertWordPieceTokenizer(WORDS, lowercase=True)


@given(TEXTS)
def test_tokens_are_those_of_the_reference(reference: BertWordPieceTokenizer, text: str) -> None:
    text = text.replace("[", "(")  # special tokens are a matter of their own
    assert token_ids(text, limit=10_000) == (reference.encode(text).ids, True)


@given(st.text(max_size=60), st.integers(2, 20))
def test_a_text_is_cut_at_the_limit(text: str, limit: int) -> None:
    every, _ = token_ids(text, limit=10_000)
    cut, whole = token_ids(text, limit=limit)
    assert cut == [*every[:-1][: limit - 1], every[-1]]
    assert whole == (cut == every)


def test_special_tokens_in_a_text_are_words() -> None:
    ids, _ = token_ids("[SEP][MASK]", limit=100)
    assert not {102, 103} & set(ids[1:-1])


def test_a_very_long_text_costs_no_more_than_its_beginning() -> None:
    ids, whole = token_ids("word " * 10_000_000, limit=16)
    assert (len(ids), whole) == (16, False)


def test_vectors() -> None:
    embedder = MiniLmEmbedder(Runtime())
    texts = ("two dogs on a beach", "puppies at the seaside", "a filled-in tax form", "")
    found = [embedder.embed(text) for text in texts]
    vectors = np.array([each.vector for each in found])
    assert vectors.shape == (4, embedder.dimensions)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0] * 4)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]
    assert embedder.embed(texts[0]) == found[0]
    assert [each.whole for each in found] == [True] * 4
    assert not embedder.embed("beach " * 300).whole


def test_without_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> None:
        raise FileNotFoundError(name)

    monkeypatch.setattr(model_files, "weights", gone)
    with pytest.raises(Unavailable, match="embedder"):
        MiniLmEmbedder(Runtime()).embed("x")
