"""What every page of the documentation has around it: head, navigation, and nothing that a strict policy refuses."""

from collections.abc import Mapping
from html import escape
from importlib.resources import files

# No script, no font, no image of another host: the pages work offline, and what they show runs nothing.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(title: str, body: str, links: Mapping[str, str], here: str) -> bytes:
    """A whole page; `links` are its navigation, title by path, and `here` is the path that it is."""
    items = "\n".join(
        f'<li><a href="{escape(path)}"{" aria-current=page" if path == here else ""}>{escape(name)}</a></li>'
        for path, name in links.items()
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)} - paynode</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<nav aria-label="Documentation">
<p class="name"><a href="/docs">paynode</a></p>
<ul>
{items}
</ul>
</nav>
<main id="content">
{body}
</main>
</body>
</html>
""".encode()


def style() -> bytes:
    return (files("paynode") / "api" / "pages" / "style.css").read_bytes()
