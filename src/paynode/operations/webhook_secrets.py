"""Secrets that sign webhooks: chosen by their owner or random; after a rotation the old one signs for a day more."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from paynode.domain.errors import FieldProblem, Invalid
from paynode.domain.signing import MalformedSecret, Secret, SignatureFormat

SECRET_BYTES = 32
OLD_SECRET_SIGNS_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Rotated:
    """A new secret and the one before it, as they are stored."""

    secret: str = field(repr=False)
    old_secret: str | None = field(repr=False)
    old_secret_expires_at: datetime | None


def chosen_or_random(text: str | None) -> str:
    """The secret that its owner chose, or a random `whsec_...`."""
    return Secret.from_key(secrets.token_bytes(SECRET_BYTES)).reveal() if text is None else text


def problems(
    text: str | None, signature_format: SignatureFormat = SignatureFormat.STANDARD, pointer: str = "/secret"
) -> list[FieldProblem]:
    """Why this secret cannot be. A hex signature may be keyed with any text."""
    try:
        if text is not None:
            (Secret.parse if signature_format is SignatureFormat.STANDARD else Secret.of_any)(text)
    except MalformedSecret as problem:
        return [FieldProblem(pointer, "malformed_secret", f"{str(problem).capitalize()}.")]
    return []


def rotated(before: str | None, chosen: str | None, now: datetime) -> Rotated:
    """A new secret in the place of `before`.

    Raises:
        Invalid: the chosen one is what it has.
    """
    if before is not None and chosen == before:
        raise Invalid.field("/secret", "not_new", "It has this secret already.")
    return Rotated(chosen_or_random(chosen), before, None if before is None else now + OLD_SECRET_SIGNS_FOR)


def in_force(secret: str, old_secret: str | None, old_secret_expires_at: datetime | None, now: datetime) -> list[str]:
    """The secrets that sign now, the newest first."""
    is_over = old_secret_expires_at is None or now >= old_secret_expires_at
    return [secret] if old_secret is None or is_over else [secret, old_secret]
