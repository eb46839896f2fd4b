"""Markdown to HTML: CommonMark and tables, without raw HTML, its links turned to the pages of the node."""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

_READER = MarkdownIt("commonmark", {"html": False}).enable("table")
_PAGE = re.compile(r"([a-z_]+)\.md(#.*)?")


def html_of(text: str) -> str:
    """The text as HTML; headings get the anchors that they have on the usual sites."""
    tokens = _READER.parse(text)
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(tokens[index + 1].content))
        if token.type == "inline":
            _turn_links(token.children or [])
    rendered: str = _READER.renderer.render(tokens, _READER.options, {})
    return rendered


def title_of(text: str) -> str:
    """The first heading."""
    return next(token.content for token in _READER.parse(text) if token.type == "inline")


def summary_of(text: str) -> str:
    """The first sentence behind the first heading, as HTML."""
    _, paragraph, *_ = [token.content for token in _READER.parse(text) if token.type == "inline"]
    return html_of(re.split(r"(?<=\.)\s", paragraph)[0])


def anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


def _turn_links(tokens: Sequence[Token]) -> None:
    """`api.md#routes` is a file's neighbour; here it is `/docs/api#routes`."""
    for token in tokens:
        if token.type == "link_open" and (found := _PAGE.fullmatch(str(token.attrGet("href")))):
            token.attrSet("href", f"/docs/{found[1]}{found[2] or ''}")
