"""The pages of the documentation, and the list of them for language models."""

from __future__ import annotations

import re

from ocelli.api.llms import index
from ocelli.documentation import pages, summary, title

LINK = re.compile(r"^- \[(.+)\]\(https://pictures\.example/docs/(.+)\.md\)(?:: (.+))?$")


def test_every_page_has_a_title_and_is_listed() -> None:
    listed = index("https://pictures.example")
    assert listed.startswith("# Ocelli ")
    found = {link[2]: link for line in listed.splitlines() if (link := LINK.match(line))}
    assert found.keys() == pages().keys()
    for name, page in pages().items():
        text = page.read_text(encoding="utf-8")
        assert found[name][1] == title(text) != ""
        assert (found[name][3] or "") == summary(text)
    assert listed.index("/docs/webhooks.md") < listed.index("## Optional")


def test_titles_come_after_front_matter() -> None:
    page = "---\nname: x\n---\n\n# The title\n\n| a | b |\n\nThe text [here](x.md). More."
    assert title(page) == "The title"
    assert summary(page) == "The text here."
    assert summary("# Only a title") == ""
    assert summary("# T\n\n```sh\na\n\nb\n```\n\n**Context.** A job. More.") == "A job."
    assert len(summary("# T\n\n" + "x" * 999)) == 201
