"""Which web pages may call us in a browser (CORS): any may read what is public; the shop's own may do what payers do.

No answer depends on cookies, so this guards nobody's session. It keeps other people's pages from having their visitors'
browsers issue addresses: what such a page posts is refused, since a browser would only keep the answer from it.
"""

from collections.abc import Mapping

from paynode.api.node import ApiNode
from paynode.operations import loading

ORIGIN_ALLOWED = "Access-Control-Allow-Origin"
EVERYBODY: Mapping[str, str] = {ORIGIN_ALLOWED: "*"}
PREFLIGHT_SECONDS = 600


def allowed(node: ApiNode, invoice_id: str, origin: str) -> Mapping[str, str]:
    """The headers that let pages of `origin` post to an invoice; without them a browser does not hand over the answer.

    Raises:
        NotFound: there is no such invoice.
    """
    loaded = node.database.read(loading.load, invoice_id)
    found = {"Vary": "Origin"}
    if origin in node.catalogue.allowed_origins(loaded.record.store_id):
        found[ORIGIN_ALLOWED] = origin
    return found


def preflight(node: ApiNode, invoice_id: str, origin: str) -> Mapping[str, str]:
    """The headers that answer a browser's question before it posts."""
    return {
        **allowed(node, invoice_id, origin),
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
