"""Public answers: any web page may read them, and whoever has one already is spared it (RFC 9110, 13.1.2)."""

import hashlib
import re

from quart import Response, request

from paynode.api.origins import EVERYBODY

KEPT = "private, no-cache"  # by who asked, and asked for again each time
# What only tells how late it is: whoever has the rest can count by himself.
_CLOCKS = re.compile(rb'"(?:now":"[^"]*"|(?:[a-z_]+_in)":\d+)')


def etag_of(body: bytes) -> str:
    """A weak tag: the same for bodies that differ in nothing but the time that is left."""
    return hashlib.sha256(_CLOCKS.sub(b"", body)).hexdigest()[:32]


def conditional(response: Response, etag: str) -> Response:
    """The response as anybody may have it, or 304 to who has it already."""
    response.headers.update(EVERYBODY)
    response.headers["Cache-Control"] = KEPT
    response.set_etag(etag, weak=True)
    if request.if_none_match.contains_weak(etag):
        response.status_code = 304
        response.set_data(b"")
        del response.headers["Content-Type"], response.headers["Content-Length"]
    return response
