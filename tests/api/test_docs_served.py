"""The documentation as the node serves it: whole, linked, and nothing in it that runs or comes from elsewhere."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest
from tests.api.conftest import Api, World

from paynode.api.pages.docs import PAGES
from paynode.api.pages.markdown import html_of
from paynode.api.problem_types import problem_types

FOLDER = Path(__file__).parents[2] / "src" / "paynode" / "docs"
PATHS = ["/docs", "/docs/reference", *(f"/docs/{name}" for name in PAGES)]
ERRORS = [f"/docs/errors/{code}" for code in problem_types()]


class Seen(HTMLParser):
    """What a browser would follow, load and run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.add(tag)
        self.attributes |= values.keys()
        self.anchors |= {values["id"] or ""} if "id" in values else set()
        if tag == "a":
            self.links.append(values["href"] or "")
        elif "src" in values or "href" in values:
            self.loaded.append(values.get("src") or values.get("href") or "")


async def seen(world: World, path: str) -> Seen:
    reply = await Api(world.app, None).get(path)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8"), path
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
    return Seen(reply.raw.decode())


def test_every_page_of_the_documentation_is_served() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == set(PAGES)


async def test_no_page_runs_anything_or_loads_from_elsewhere(world: World) -> None:
    for path in [*PATHS, *ERRORS]:
        page = await seen(world, path)
        assert not page.tags & {"script", "iframe", "object", "embed", "form", "img", "style"}, path
        assert not {name for name in page.attributes if name.startswith("on") or name == "style"}, path
        assert page.loaded == ["/i/icon.svg", "/docs/style.css"], path
    sheet = await Api(world.app, None).get("/docs/style.css")
    assert (sheet.status, sheet.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert b"url(" not in sheet.raw
    assert b"@import" not in sheet.raw


async def test_every_link_within_the_pages_leads_to_something(world: World) -> None:
    pages = {path: await seen(world, path) for path in [*PATHS, *ERRORS]}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            target, _, anchor = urljoin(path, link).partition("#")
            if target.startswith("https://") or target == "/v1/openapi.json":
                continue
            if target not in pages or (anchor and anchor not in pages[target].anchors):
                broken.append((path, link))
    assert broken == []


async def test_a_problem_leads_to_its_cause_and_remedy(world: World) -> None:
    refused = (await Api(world.app, None).get("/v1/invoices")).json
    page = (await Api(world.app, None).get(refused["type"])).raw.decode()
    assert refused["title"] == "No valid API key"
    assert "<h1>No valid API key</h1>" in page
    assert "<code>paynode keys create</code>" in page


async def test_the_reference_has_every_operation_shape_and_event(world: World) -> None:
    contract = (await Api(world.app, None).get("/v1/openapi.json")).json
    page = await seen(world, "/docs/reference")
    ids = {about["operationId"] for item in contract["paths"].values() for about in item.values()}
    assert ids | contract["components"]["schemas"].keys() <= page.anchors


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/errors/nothing", "/docs/..%2fpromises", "/docs/"])
async def test_there_is_no_other_page(world: World, path: str) -> None:
    reply = await Api(world.app, None).get(path)
    assert (reply.status, reply.json["code"]) == (404, "not_found")


async def test_who_has_a_page_is_spared_it(world: World) -> None:
    anybody = Api(world.app, None)
    first = await anybody.get("/docs/api", utm_source="mail")
    again = await anybody.send("GET", "/docs/api", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status, again.status, again.raw) == (200, 304, b"")


def test_a_page_cannot_hold_raw_html() -> None:
    html = html_of("a <script>alert(1)</script> [b](javascript:alert(1)) ![c](https://example.com/x.png)")
    assert "<script" not in html
    assert 'href="javascript' not in html
