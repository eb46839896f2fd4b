"""How pages are written: templates that escape what they show, and a policy that refuses what runs or is foreign."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

HTML = "text/html; charset=utf-8"
CSS = "text/css; charset=utf-8"
ICON = "image/svg+xml; charset=utf-8"


def policy(*, form_action: str = "'none'", frame_ancestors: Sequence[str] = ()) -> str:
    """No script, no font, no image of another host: the pages work offline, and what they show runs nothing."""
    ancestors = " ".join(frame_ancestors) or "'none'"
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"form-action {form_action}; frame-ancestors {ancestors}"
    )


POLICY = policy()


def page(title: str, body: str, links: Mapping[str, str], here: str) -> bytes:
    """A whole page of the documentation; `links` are its navigation, title by path, and `here` is the path it has."""
    return rendered(
        "docs.html",
        title=f"{title} - paynode",
        stylesheet="/docs/style.css",
        body=Markup(body),  # noqa: S704 - our own text
        links=links,
        here=here,
    )


def rendered(template: str, **values: object) -> bytes:
    """The template with these values; each that it names must be given."""
    return environment().get_template(template).render(values).encode()


def resource(name: str) -> bytes:
    """A stylesheet or a picture of the pages."""
    return (files("paynode") / "api" / "pages" / name).read_bytes()


@cache
def environment() -> Environment:
    """Templates come out of the package, which may be frozen into one file."""
    return Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _source(template: str) -> str:
    return (files("paynode") / "api" / "pages" / "templates" / template).read_text(encoding="utf-8")
