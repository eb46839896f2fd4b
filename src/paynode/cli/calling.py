"""How a command talks to a running node: over HTTP, with a key that never stands in the command line."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click
import httpx

from paynode.cli.config_file import config_option, load, local_url
from paynode.cli.exit_codes import ExitCode
from paynode.cli.problems import Failure, told

KEY_VARIABLE, URL_VARIABLE = "PAYNODE_API_KEY", "PAYNODE_URL"
SIM_KEY_PREFIX = "pn_sim_"
ANSWER_SECONDS_MAX = 30.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Where:
    """Which node is meant, and where its key is."""

    config_path: Path
    url: str | None
    key_file: Path | None


def node_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--url`, `-c` and `--key-file`; it gets them as `where`."""

    @wraps(command)
    def named(*arguments: Any, config_path: Path, url: str | None, key_file: Path | None, **others: Any) -> None:
        command(*arguments, where=Where(config_path, url, key_file), **others)

    file = click.Path(path_type=Path, dir_okay=False, exists=True)
    key_option = click.option("--key-file", type=file, help=f"A file with the API key.  [default: ${KEY_VARIABLE}]")
    url_option = click.option(
        "--url",
        envvar=URL_VARIABLE,
        help=f"Where the node answers.  [default: ${URL_VARIABLE}, else as its config says]",
    )
    return url_option(config_option(key_option(named)))


class Caller:
    """A connection to one node, with a key."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    @property
    def url(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def require_sandbox(self) -> None:
        """Refuse a key to anything but a simulated node."""
        if not self.client.headers["Authorization"].startswith(f"Bearer {SIM_KEY_PREFIX}"):
            text = (
                f'Only a sandbox takes money that is none: a node with mode = "sim", whose keys begin {SIM_KEY_PREFIX}.'
            )
            raise Failure(ExitCode.PROBLEM, text)

    def get(self, path: str, **query: str) -> Json:
        return self._answered(lambda: self.client.get(path, params=query))

    def post(self, path: str, body: Mapping[str, object] | None = None, *, name: str | None = None) -> Json:
        headers = {} if name is None else {"Idempotency-Key": name}
        return self._answered(lambda: self.client.post(path, json=body or {}, headers=headers))

    def patch(self, path: str, body: Mapping[str, object]) -> Json:
        return self._answered(lambda: self.client.patch(path, json=body))

    def delete(self, path: str) -> None:
        self._answered(lambda: self.client.delete(path))

    def _answered(self, send: Callable[[], httpx.Response]) -> Json:
        try:
            answer = send()
        except httpx.TransportError as error:
            raise no_answer(self.url, error) from None
        require_success(answer)
        return _object(answer) if answer.content else {}


def no_answer(url: str, error: httpx.TransportError) -> Failure:
    return Failure(ExitCode.UNAVAILABLE, f"No node answers at {url} ({type(error).__name__}). Is it running?")


def require_success(answer: httpx.Response) -> None:
    """Raises `Failure`, in the node's own words, if it refused."""
    if not answer.is_success:
        problem = _object(answer)
        fields = [f"{field['pointer']}: {field['detail']}" for field in problem.get("errors", [])]
        said = " ".join(fields) or str(problem.get("detail", ""))
        raise Failure(ExitCode.PROBLEM, f"The node refuses ({answer.status_code} {problem.get('code', '')}): {said}")


def _object(answer: httpx.Response) -> Json:
    """The JSON object that was answered."""
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        text = f"{answer.url} answers with HTTP {answer.status_code}, and not as a paynode does. Is --url right?"
        raise Failure(ExitCode.PROBLEM, text)
    return found


@contextmanager
def calling(where: Where) -> Iterator[Caller]:
    """A caller of that node.

    Raises:
        Failure: there is no key, or nothing says where the node is.
    """
    with told():
        key = _key(where.key_file)
        url = where.url or _url_of(where.config_path)
    if not url.startswith(("http://", "https://")):
        raise Failure(ExitCode.USAGE, f"{url} is no URL of a node. Write it like http://127.0.0.1:8080.")
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=ANSWER_SECONDS_MAX) as client:
        yield Caller(client)


def _key(file: Path | None) -> str:
    key = os.environ.get(KEY_VARIABLE, "") if file is None else file.read_text(errors="replace")
    if not (key := key.strip()):
        raise Failure(
            ExitCode.USAGE, f"There is no API key. Put it into the variable {KEY_VARIABLE}, or name a --key-file."
        )
    if not key.isascii() or not key.isprintable():
        raise Failure(ExitCode.USAGE, "That is no API key: one begins with pn_ and has no blanks.")
    return key


def _url_of(config_path: Path) -> str:
    if not config_path.exists():
        text = f"Say where the node is: with --url, the variable {URL_VARIABLE}, or -c and the config of one here."
        raise Failure(ExitCode.USAGE, text)
    return local_url(load(config_path, require_mnemonic=False).node.listen[0])
