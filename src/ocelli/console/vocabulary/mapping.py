"""Between the forms of the page and the use cases of vocabularies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.console.api_requests import ApiRequest
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.vocabulary_files import VocabularyFormat

if TYPE_CHECKING:
    from ocelli.domain.vocabulary import Vocabulary

TERMS = 200
PICTURES = 24  # that a trial offers
MATCHES = {
    "name": "is its name",
    "synonym": "is another name of it",
    "similar": "means nearly the same",
    "new": "new: no term of the vocabulary",
}


def words(text: str) -> list[str]:
    """Return the words of a trial, which are separated by commas or lines."""
    return [word for each in text.replace("\n", ",").split(",") if (word := each.strip())]


def file_format(text: str) -> VocabularyFormat:
    """Return the format that a form names. Raises ValidationFailed."""
    try:
        return VocabularyFormat(text or "auto")
    except ValueError:
        raise ValidationFailed("Choose the format from the list.", field="format") from None


def api_requests(vocabulary: Vocabulary | None = None) -> list[ApiRequest]:
    """Return the requests that do the same."""
    path = "/api/v2/vocabularies"
    if vocabulary is None:
        body = {"name": "animals", "content": "animal/dog/terrier\nanimal/cat"}
        return [
            ApiRequest("List vocabularies", "GET", path, "vocabularies.list"),
            ApiRequest(
                "Import a vocabulary", "POST", path, "vocabularies.import_text", body, body=body
            ),
        ]
    name = {"vocabulary": vocabulary.name}
    tried = {"words": ["puppy"]}
    return [
        ApiRequest(
            "List its terms", "GET", f"{path}/{vocabulary.id}/terms", "vocabularies.terms", name
        ),
        ApiRequest(
            "Choose tags",
            "POST",
            f"{path}/{vocabulary.id}/choose",
            "vocabularies.choose",
            name | tried,
            body=tried,
        ),
    ]
