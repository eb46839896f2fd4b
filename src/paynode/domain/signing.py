"""Signatures of webhooks: as Standard Webhooks wants them, or one plain header in hex.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

Signed are the message's id, the moment of the attempt and the exact bytes of
the body, so that none of them can be exchanged and an old message cannot be
passed off as new. Each attempt signs afresh; the id stays.

A receiver that knows no more than "HMAC of the body, in hex" gets just that. It
cannot tell an old message from a new one, except by the event's id in the body.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

PREFIX = "whsec_"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64  # the specification's 192 to 512 bits


class MalformedSecret(ValueError):
    """A text that is not `whsec_` and the base64 of 24 to 64 bytes."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What an endpoint and we both know. Its key is never printed; `reveal` is for storing it and for its owner."""

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The secret that `text`, `whsec_...`, stands for.

        Raises:
            MalformedSecret: wrong prefix, base64 or length.
        """
        encoded = text.removeprefix(PREFIX)
        if encoded == text:
            raise MalformedSecret(f"a secret begins with {PREFIX}")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:  # ValueError: not ASCII
            raise MalformedSecret("a secret is base64, with padding") from error
        return cls.from_key(key)

    @classmethod
    def from_key(cls, key: bytes) -> Self:
        """The secret over `key`, 24 to 64 random bytes."""
        if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
            raise MalformedSecret(f"a secret has {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes, not {len(key)}")
        return cls(key)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The secret over the bytes of the text itself, of any length but none."""
        if not text:
            raise MalformedSecret("a secret is not empty")
        return cls(text.encode())

    @classmethod
    def of_any(cls, text: str) -> Self:
        """An invoice's own `callback_secret`: a text of any kind, or a `whsec_...`, which libraries decode.

        Raises:
            MalformedSecret: it is empty, or begins like the latter and is none.
        """
        return cls.parse(text) if text.startswith(PREFIX) else cls.from_text(text)

    def reveal(self) -> str:
        return PREFIX + base64.b64encode(self.key).decode("ascii")

    def __str__(self) -> str:
        return "***"


def sign(secret: Secret, message_id: str, sent_at: datetime, body: bytes) -> str:
    """One signature, `v1,<base64>`, over `message_id`, the second of `sent_at` and `body`."""
    # "the message id and the timestamp [must not] include any `.`": it is what separates the three.
    assert message_id
    assert "." not in message_id
    signed = f"{message_id}.{timestamp(sent_at)}.".encode() + body
    digest = hmac.digest(secret.key, signed, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode("ascii")


def headers(secrets: Iterable[Secret], message_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of one attempt; during a rotation `secrets` holds the old and the new."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp(sent_at),
        "webhook-signature": " ".join(sign(secret, message_id, sent_at, body) for secret in secrets),
    }


def hex_headers(secrets: Sequence[Secret], message_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """The headers for a receiver that compares one hex text; during a rotation another has the old secret's."""
    names = ("x-signature", "x-signature-old")
    digests = (hmac.digest(secret.key, body, hashlib.sha256).hex() for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp(sent_at),
        **dict(zip(names, digests, strict=False)),
    }


class SignatureFormat(StrEnum):
    STANDARD = "standard"  # Standard Webhooks
    HEX = "hex"  # one header: the HMAC-SHA256 of the body, keyed with the secret's text as it is written


@dataclass(frozen=True, slots=True)
class Signer:
    """What one receiver's messages are signed with: the form, and the secrets in force, the newest first."""

    format: SignatureFormat
    secrets: tuple[Secret, ...]

    def headers(self, message_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
        match self.format:
            case SignatureFormat.STANDARD:
                return headers(self.secrets, message_id, sent_at, body)
            case SignatureFormat.HEX:
                return hex_headers(self.secrets, message_id, sent_at, body)


def timestamp(moment: datetime) -> str:
    """Whole seconds since 1970, as the header and the signed text have it."""
    return str((moment - EPOCH) // timedelta(seconds=1))
