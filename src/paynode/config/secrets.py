"""Secrets: where they come from, how they are carried, and what betrays one that stands in the config itself.

The one rule: a secret never stands in the config file and is never printed. It comes, in this order, from a
systemd credential, a file beside the config that only its owner may read, or the environment.
"""

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from paynode.config.mistakes import Mistake, Wrong, dotted
from paynode.config.values import http_url

SECRET_BYTES_MAX = 4096
URL_REMEDY = 'Write it like "https://rpc.example.com/{credential:rpc_key}"'
RATES_URL_REMEDY = 'Write it like "https://rates.example.com/v1/{base}/{quote}"'
PAIR = ("{base}", "{quote}")
SCREENING_URL_REMEDY = 'Write it like "https://aml.example.com/v1/{network}/{address}"'
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"  # no slash, no leading dot: it becomes a file's name
_PLACEHOLDER = re.compile(rf"\{{credential:({_NAME})\}}")
_URL_SAFE = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]+")

# BIP-39: 12 to 24 words of 3 to 8 letters in English, shorter and longer ones in other languages.
_PHRASE_WORDS = (12, 15, 18, 21, 24)
_PHRASE_WORD_LENGTH_MAX = 10
_PRIVATE_KEY = re.compile(r"(?<![0-9a-zA-Z])(0x)?[0-9a-fA-F]{64}(?![0-9a-zA-Z])")
_EXTENDED_PRIVATE_KEY = re.compile(r"(?<![0-9a-zA-Z])[a-zA-Z]prv[0-9a-zA-Z]{50,}")
_API_KEY_PART = re.compile(r"[0-9a-zA-Z_-]{20,}")  # what providers issue; names are shorter, or have few digits
_API_KEY_DIGITS_MIN = 5
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{40}\b")  # of a token, which is no secret
API_KEY = (
    "holds what looks like an API key",
    "Secrets never stand in the config: put the key into a file beside it, e.g. `rpc_key`, with mode 0600, and write "
    "{credential:rpc_key} in its place",
)


class Secret:
    """A text that prints as `***`; `reveal` is for the one place that uses it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash would be a fingerprint of the secret

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True)
class RpcUrl:
    """A provider's address: `name` may be shown, the URL may hold a credential and is only for the client."""

    name: str  # host and port; numbered where two providers share them
    url: Secret

    def reveal(self) -> str:
        return self.url.reveal()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret that is read only when it is needed."""

    path: Path
    is_credential: bool  # systemd's own, in a directory that only our process can read

    def read(self) -> Secret:
        """What the file holds, without the line end.

        Raises:
            Wrong: it cannot be read, others may read it, or it is no text.
        """
        self.check()
        try:
            with self.path.open("rb") as file:
                content = file.read(SECRET_BYTES_MAX + 1)
        except OSError as error:
            raise Wrong(f"cannot be read: {error.strerror}", f"Let paynode's user read {self.path}") from None
        if len(content) > SECRET_BYTES_MAX:
            raise Wrong(
                f"is longer than {SECRET_BYTES_MAX} bytes", f"{self.path} must hold the secret and nothing else"
            )
        try:
            value = content.decode().strip()
        except UnicodeDecodeError:  # it carries the content, so it goes no further
            raise Wrong("is not UTF-8 text", f"{self.path} must hold the secret and nothing else") from None
        if not value:
            raise Wrong("is empty", f"Write the secret into {self.path}")
        return Secret(value)

    def check(self) -> None:
        """Refuse a file that is not there or that others than its owner may read."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise Wrong(f"cannot be read: {error.strerror}", f"Create {self.path} with mode 0600") from None
        if not self.path.is_file():
            raise Wrong("is not a file", f"{self.path} must be a file with the secret in it")
        # systemd gives the service its credentials by an ACL, whose mask shows as the group's bits.
        if status.st_mode & 0o077 and not self.is_credential:
            raise Wrong("can be read by other users of this machine", f"Run: chmod 600 {self.path}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where this node's secrets may lie."""

    beside: Path  # the config file's folder
    environ: Mapping[str, str]

    def file(self, name: str) -> SecretFile:
        """The file of this name: systemd's credential if there is one, else relative to the config's folder."""
        directory = self.environ.get("CREDENTIALS_DIRECTORY")
        if directory and re.fullmatch(_NAME, name) and (credential := Path(directory) / name).exists():
            return SecretFile(credential, is_credential=True)
        return SecretFile(self.beside / name, is_credential=False)

    def find(self, name: str) -> Secret:
        """The secret of this name.

        Raises:
            Wrong: it is nowhere, or not fit to be used.
        """
        file = self.file(name)
        if file.path.exists():
            return file.read()
        variable = "PAYNODE_CREDENTIAL_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
        if value := self.environ.get(variable):
            return Secret(value)
        raise Wrong(
            f"needs the credential `{name}`, which is nowhere",
            f"Provide a systemd credential of that name, the file {file.path} with mode 0600, or ${variable}",
        )

    def rpc_url(self, value: object) -> RpcUrl:
        """A provider's URL, its `{credential:NAME}` put in place."""
        return RpcUrl(http_url(value, remedy=URL_REMEDY).netloc.lower(), self._filled(value, (), URL_REMEDY))

    def rates_url(self, value: object) -> Secret:
        """The URL of somebody who knows rates: its `{credential:NAME}` put in place, `{base}` and `{quote}` left."""
        http_url(value, remedy=RATES_URL_REMEDY)
        url = self._filled(value, PAIR, RATES_URL_REMEDY)
        if not all(url.reveal().count(name) == 1 for name in PAIR):
            raise Wrong("does not have {base} and {quote} in it, once each", RATES_URL_REMEDY)
        return url

    def screening_url(self, value: object) -> Secret:
        """The URL of somebody who knows addresses: its credentials put in place, `{network}` and `{address}` left."""
        http_url(value, remedy=SCREENING_URL_REMEDY)
        url = self._filled(value, ("{network}", "{address}"), SCREENING_URL_REMEDY)
        if url.reveal().count("{address}") != 1:
            raise Wrong("does not have {address} in it, once", SCREENING_URL_REMEDY)
        return url

    def header(self, value: object) -> Secret:
        """The value of a header, its `{credential:NAME}` put in place."""
        remedy = 'Write it like "{credential:aml_key}"'
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not 0 < len(value) <= 500:
            raise Wrong("is not a header's value", remedy)
        if "{" in _PLACEHOLDER.sub("", value):
            raise Wrong("has a placeholder that is not understood", remedy)
        if _holds_api_key(_PLACEHOLDER.sub(" ", value)):
            raise Wrong(*API_KEY)
        filled = _PLACEHOLDER.sub(lambda placeholder: self.find(placeholder[1]).reveal(), value)
        if not filled.isascii() or not filled.isprintable():
            raise Wrong("uses a credential with characters that a header must not have", "Put a single line into it")
        return Secret(filled)

    def _filled(self, value: object, kept: Sequence[str], remedy: str) -> Secret:
        """A URL with its credentials in it, and no other placeholders but those `kept`."""
        assert isinstance(value, str), "http_url accepted it"
        rest = _PLACEHOLDER.sub(" ", value)
        for name in kept:
            rest = rest.replace(name, " ")
        if "{" in rest or "}" in rest:
            raise Wrong("has a placeholder that is not understood", remedy)
        url = urlsplit(rest)
        if _holds_api_key(f"{url.path} {url.query}"):
            raise Wrong(*API_KEY)
        return Secret(_PLACEHOLDER.sub(self._url_part, value))

    def _url_part(self, placeholder: re.Match[str]) -> str:
        part = self.find(placeholder[1]).reveal()
        if not _URL_SAFE.fullmatch(part):
            problem = f"uses the credential `{placeholder[1]}`, which holds characters that a URL must not"
            raise Wrong(problem, "Percent-encode it")
        return part


def numbered(urls: tuple[RpcUrl, ...]) -> tuple[RpcUrl, ...]:
    """The same providers, with names that tell those on one host apart: `rpc.example.com#2`."""
    seen: dict[str, int] = {}
    told_apart = []
    for url in urls:
        seen[url.name] = count = seen.get(url.name, 0) + 1
        told_apart.append(url if count == 1 else RpcUrl(f"{url.name}#{count}", url.url))
    return tuple(told_apart)


def betrayed(values: object, key: str = "") -> Iterator[Mistake]:
    """A mistake for each secret that stands in the file; nothing of the secret is repeated.

    A secret that stands as a key is taken out of `values`, since later mistakes may repeat keys.
    """
    if isinstance(values, dict):
        for name, value in list(values.items()):
            if kind := _kind_of_secret(name):
                del values[name]
                yield _betrayal(key, kind)
            else:
                yield from betrayed(value, dotted(key, name))
    elif isinstance(values, list):
        for value in values:
            yield from betrayed(value, key)
    elif isinstance(values, str) and (kind := _kind_of_secret(values)):
        yield _betrayal(key, kind)


def _betrayal(key: str, kind: str) -> Mistake:
    return Mistake(
        key,
        f"holds what looks like {kind}",
        "Secrets never stand in this file: put it into a file of mode 0600 or a systemd credential, name that here, "
        "and replace the secret if the file was ever copied",
    )


def _holds_api_key(text: str) -> bool:
    """Whether a part of it is long and random: of many digits, or of digits, capitals and small letters together."""
    return any(
        sum(map(str.isdigit, part)) >= _API_KEY_DIGITS_MIN
        or all(any(map(kind, part)) for kind in (str.isdigit, str.isupper, str.islower))
        for part in _API_KEY_PART.findall(_ADDRESS.sub(" ", text))
    )


def _kind_of_secret(text: str) -> str | None:
    words = text.split()
    if len(words) in _PHRASE_WORDS and all(w.isalpha() and len(w) <= _PHRASE_WORD_LENGTH_MAX for w in words):
        return "a mnemonic phrase"
    if _PRIVATE_KEY.search(text):
        return "a private key"
    if _EXTENDED_PRIVATE_KEY.search(text):
        return "an extended private key"
    return None
