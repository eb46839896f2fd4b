"""What payers see of a store beside its name."""

from paynode.config import Branding
from paynode.operations.views.shapes import Url, View


class BrandingView(View, frozen=True):
    """`color` is that of its buttons; support is where payers ask."""

    color: str | None
    support_url: Url | None
    support_email: str | None


def branding_view(branding: Branding) -> BrandingView:
    return BrandingView(color=branding.color, support_url=branding.support_url, support_email=branding.support_email)
