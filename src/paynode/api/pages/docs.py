"""The documentation, as the node serves it: its own pages, the reference of its API, and a page for each problem."""

from collections.abc import Mapping
from functools import cache
from html import escape
from http import HTTPStatus
from importlib.resources import files

from paynode.api.contract import document
from paynode.api.pages.layout import CSS, HTML, page, resource
from paynode.api.pages.markdown import html_of, summary_of, title_of
from paynode.api.pages.reference import reference_html
from paynode.api.problem_types import problem_types
from paynode.api.routes import Routes, Shelf
from paynode.domain.errors import NotFound

routes = Routes()

# In the order of the navigation; every page that lies in docs/ is one of them.
PAGES = (
    *("quickstart", "api", "errors", "webhooks", "coming-from-hosted-apis"),  # for who writes the shop
    *("operations", "promises", "detection"),  # for who runs the node
    *("architecture", "glossary"),  # for who reads the code
)


@routes.document("/docs", media=HTML)
def index(shelf: Shelf) -> bytes:
    """Show what the documentation has."""
    items = "".join(
        f'<dt><a href="/docs/{name}">{escape(title_of(_text(name)))}</a></dt><dd>{summary_of(_text(name))}</dd>'
        for name in PAGES
    )
    about = f"<p>Version {escape(shelf.node.version)}, in {shelf.node.catalogue.mode} mode.</p>"
    reference = '<dt><a href="/docs/reference">Reference</a></dt><dd><p>Every operation, field and event.</p></dd>'
    return page("Documentation", f"<h1>Documentation</h1>{about}<dl>{items}{reference}</dl>", _links(), "/docs")


@routes.document("/docs/<name>", media=HTML)
def show(shelf: Shelf) -> bytes:
    """Show a page of the documentation."""
    name = shelf.path["name"]
    if name not in PAGES:
        raise NotFound("page")
    return page(title_of(_text(name)), html_of(_text(name)), _links(), f"/docs/{name}")


@routes.document("/docs/reference", media=HTML)
def reference(shelf: Shelf) -> bytes:
    """Show every operation of the API, out of its contract."""
    node = shelf.node
    contract = document(shelf.routes, version=node.version, url=node.catalogue.public_url)
    return page("API reference", reference_html(contract), _links(), "/docs/reference")


@routes.document("/docs/errors/<code>", media=HTML)
def problem(shelf: Shelf) -> bytes:
    """Show what a problem means and what to do: the page that its `type` leads to."""
    kind = problem_types().get(shelf.path["code"])
    if kind is None:
        raise NotFound("problem")
    body = (
        f"<h1>{escape(kind.title)}</h1>"
        f'<p class="quiet">{kind.status} {HTTPStatus(kind.status).phrase}, code <code>{kind.code}</code></p>'
        f"<h2>Cause</h2>{html_of(kind.cause)}<h2>What to do</h2>{html_of(kind.remedy)}"
        f'<p><a href="/docs/errors">All errors</a></p>'
    )
    return page(kind.title, body, _links(), "/docs/errors")


@routes.document("/docs/style.css", media=CSS)
def stylesheet(shelf: Shelf) -> bytes:
    """Show how the pages look."""
    return resource("style.css")


@cache
def _text(name: str) -> str:
    return (files("paynode") / "docs" / f"{name}.md").read_text(encoding="utf-8")


@cache
def _links() -> Mapping[str, str]:
    return {**{f"/docs/{name}": title_of(_text(name)) for name in PAGES}, "/docs/reference": "API reference"}
