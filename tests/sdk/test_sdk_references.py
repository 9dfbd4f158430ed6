"""References in texts, collections of files, and the types for agents of one's own."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import aion
from aion import (
    AgentCapability,
    AgentContract,
    CategorizationResult,
    Category,
    ExecutionContext,
    FileCollection,
    FileRef,
    ImageSearchAgentResult,
    TypedInput,
    TypedOutput,
    parse_references,
    resolve_content,
)

ID, OTHER = "0a1b2c3d-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "0a1b2c3d-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


def test_references_of_every_kind() -> None:
    text = (
        "[[ref:search_1]] of [[ref:gone]]: [[img:0a1b2c3d|a]b.jpg]] [[doc:d1|n.pdf]]"
        " [[doc:d1|n.pdf|p:5]] [[doc:d1|n.pdf|pp:3-7]] [[link:l1|News|today]] [[odd:1|x]]"
    )
    metadata = {
        "result_refs": {"search_1": {"count": 4, "ids": [ID], "id_type": "image"}},
        "tool_document_data": {"d1-full": {"filename": "n.pdf"}},
        "tool_link_data": [
            {"id": "l1-full", "source_url": "https://example.org/n", "domain": "example.org"}
        ],
    }
    found = parse_references(text, metadata)
    assert found.has_references
    assert [(it.filename, it.full_id) for it in found.images] == [("a]b.jpg", ID)]
    assert [(it.page, it.page_range) for it in found.documents] == [
        (None, None), (5, None), (None, (3, 7))
    ]  # fmt: skip
    assert {it.full_id for it in found.documents} == {"d1-full"}
    [link] = found.links
    assert (link.title, link.full_id, link.domain) == ("News|today", "l1-full", "example.org")
    assert {key: it.count for key, it in found.counts.items()} == {"search_1": 4}
    assert resolve_content(text, metadata) == (
        "4 of [[ref:gone]]: a]b.jpg n.pdf n.pdf (p.5) n.pdf (pp.3-7) News|today [[odd:1|x]]"
    )


@pytest.mark.parametrize(
    ("context", "full"),
    [
        (None, None),
        ("nonsense", None),
        ([{"image_id": ID}], ID),
        ({"image_id": ID}, ID),
        ([{"image_id": ID, "filename": "a.jpg"}, {"image_id": OTHER, "filename": "b.jpg"}], OTHER),
        ([{"image_id": ID}, {"image_id": OTHER}], None),
    ],
)
def test_full_ids_of_pictures(context: Any, full: str | None) -> None:
    [image] = parse_references("[[img:0a1b2c3d|b.jpg]]", {"image_context": context}).images
    assert image.full_id == full


def test_texts_without_references() -> None:
    for text in ("", "plain", "[[", "[[img:x]]", "[[ref:]]"):
        assert not parse_references(text).has_references
        assert resolve_content(text) == text


def test_a_collection_cannot_be_changed() -> None:
    files = FileCollection.from_ids(["a", "b", "c"], "images", "search")
    assert [(it.id, it.media_type) for it in files] == [(id, "image/*") for id in "abc"]
    assert (files.count, len(files), bool(files), bool(FileCollection())) == (3, 3, True, False)
    part = files[1:]
    assert (part.ids, part.content_type, part.source_capability) == (["b", "c"], "images", "search")
    assert files.filter(lambda it: it.id == "b").ids == ["b"]
    assert pickle.loads(pickle.dumps(files)) == files
    assert len({files, FileCollection.from_ids(["a", "b", "c"], "images", "search")}) == 1
    for name in ("refs", "other"):
        with pytest.raises(AttributeError):
            setattr(files, name, ())
    with pytest.raises(AttributeError):
        del files._refs


def test_merged_collections() -> None:
    bare = FileCollection.from_ids(["a", "b"], "images", "search")
    named = FileCollection([FileRef("b", filename="b.jpg")], "documents", "analysis")
    full = FileCollection([FileRef("b", metadata={"score": 1}), FileRef("c")])
    merged = FileCollection.merge(bare, named, full)
    assert merged.ids == ["a", "b", "c"]
    assert merged[1].metadata == {"score": 1}
    assert (merged.content_type, merged.source_capability) == ("mixed", "search+analysis")
    assert FileCollection.merge(bare, full).content_type == "images"
    assert FileCollection.merge() == FileCollection()


def test_results_of_a_search_as_a_collection() -> None:
    item = {"image_id": "a", "score": 0.5, "filename": "a.jpg", "title": "A cup"}
    found = ImageSearchAgentResult.from_api_response({"results": [item], "count": 1})
    [ref] = found.as_collection()
    assert (ref.id, ref.media_type, ref.filename) == ("a", "image/*", "a.jpg")
    assert ref.metadata == {"score": 0.5, "title": "A cup"}
    assert ImageSearchAgentResult().as_collection().content_type == "images"


def test_contracts_survive_a_round() -> None:
    contract = AgentContract(
        "finder",
        AgentCapability.SEARCH,
        "Finds.",
        inputs=(TypedInput("query", "text"), TypedInput("limit", "number", required=False)),
        outputs=(TypedOutput("found", "file_collection", mergeable=True),),
        can_chain_with=(AgentCapability.ORGANIZATION,),
    )
    assert AgentContract.from_dict(contract.to_dict()) == contract
    assert [it.name for it in contract.get_required_inputs()] == ["query"]
    assert contract.get_input_by_name("limit") == contract.inputs[1]
    assert contract.get_output_by_name("lost") is None


async def test_an_agent_of_ones_own() -> None:
    class Finder:
        def get_contract(self) -> AgentContract:
            return AgentContract("finder", AgentCapability.SEARCH, "Finds.")

        async def execute(self, context: ExecutionContext) -> aion.AgentResult:
            wanted = await context.read_async("query", "text")
            return aion.AgentResult(True, "finder", "search", outputs={"found": [wanted]})

    finder = Finder()
    assert isinstance(finder, aion.Agent)
    context = ExecutionContext()
    context.write("query", "cats", "text", "user")
    result = await finder.execute(context)
    assert (result.get_output("found"), result.get_output("lost", 0)) == (["cats"], 0)
    assert result.has_output("found")
    assert ExecutionContext.from_dict(context.to_dict()).slots == context.slots
    assert list(context.get_slots_by_type("text")) == context.list_slots() == ["query"]
    with pytest.raises(TypeError):
        context.read("query", "number")
    with pytest.raises(KeyError):
        context.read("lost")


def test_categories_and_registries() -> None:
    cats = CategorizationResult((Category("Cats", file_ids=("a", "b"), confidence=0.9),), 2)
    more = CategorizationResult((Category("cats", file_ids=("b", "c"), document_ids=("d",)),), 3)
    merged = cats.merge(more)
    [category] = merged.categories
    assert (category.name, category.count, category.content_type) == ("Cats", 4, "mixed")
    assert (merged.total_files, category.confidence) == (4, 0.9)
    assert CategorizationResult.from_dict(merged.to_dict()) == merged
    registry = aion.get_default_registry()
    assert registry is not aion.get_default_registry()
    assert registry.merge("categorization_result", cats, more) == merged
    registry.register(aion.DataTypeDefinition("text", mergeable=True))
    assert registry.has_type("text")
    assert not registry.can_merge("text")
    with pytest.raises(ValueError, match="text"):
        registry.merge("text", "a", "b")
