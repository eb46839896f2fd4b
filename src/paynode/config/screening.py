"""The table `[screening]`: who is asked about the senders of deposits, and what becomes of what they say."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from paynode.config.mistakes import Wrong
from paynode.config.secrets import SCREENING_URL_REMEDY, Credentials, Secret
from paynode.config.shapes import DenyFile, Screening, ScreeningProvider
from paynode.config.table import Table
from paynode.config.values import boolean, duration, list_of, one_of, text
from paynode.domain.screening import OnFlagged, Policy

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")


def read_screening(top: Table, folder: Path, credentials: Credentials, unasked: Sequence[str]) -> Screening:
    """Every file that is named must be there: one that is not would let everything pass.

    `unasked` are the networks that have no oracle of their own.
    """
    with top.table("screening") as table:
        names = table.optional("deny_files", list_of(text), ())
        files = tuple(DenyFile(name, folder / name) for name in names)
        for file in files:
            if not file.path.is_file():
                remedy = f"Put the list of addresses there, or correct the name: {file.path}"
                table.note("deny_files", f"names {file.name}, which is not a file", remedy)
        if len({file.path for file in files}) < len(files):
            table.note("deny_files", "names a file twice", "Remove one of the two")
        age_max = table.optional("max_age", duration(timedelta(hours=1), timedelta(days=365)), None)
        if age_max is not None and not files:
            table.note("max_age", "is for deny_files, and there is none", "Name one, or remove it")
        provider = _provider(table, credentials)
        found = Screening(files, provider, age_max, Policy())
        policy = _policy(table, Policy(), unscreened(found, unasked))
    return Screening(files, provider, age_max, policy)


def unscreened(screening: Screening, unasked: Sequence[str]) -> Sequence[str]:
    """The networks on which nobody is asked about senders."""
    return () if screening.deny_files or screening.provider is not None else unasked


def read_policy(table: Table, default: Policy, unscreened_networks: Sequence[str]) -> Policy:
    """What one store does about verdicts."""
    with table:
        return _policy(table, default, unscreened_networks)


def _policy(table: Table, default: Policy, unscreened_networks: Sequence[str]) -> Policy:
    policy = Policy(
        is_required=table.optional("required", boolean, default.is_required),
        on_flagged=table.optional("flagged", one_of(OnFlagged), default.on_flagged),
    )
    if policy.is_required and unscreened_networks:
        problem = f"is set, and nobody is asked about senders on {', '.join(unscreened_networks)}"
        table.note("required", problem, "Name who is asked, such as screening.deny_files, or remove it")
    return policy


def _provider(table: Table, credentials: Credentials) -> ScreeningProvider | None:
    is_there = "provider" in table
    with table.table("provider") as written:
        url = written.optional("url", credentials.screening_url, None)
        headers = _headers(written.table("headers"), credentials)
        if is_there and "url" not in written:
            written.note("url", "is missing", SCREENING_URL_REMEDY)
    return None if url is None else ScreeningProvider(urlsplit(url.reveal()).netloc.lower(), url, headers)


def _headers(table: Table, credentials: Credentials) -> Mapping[str, Secret]:
    headers: dict[str, Secret] = {}
    for name, value in table.named_values():
        if not _HEADER.fullmatch(name):
            table.note(name, "is not the name of a header", 'Write it like "X-Api-Key"')
            continue
        try:
            headers[name] = credentials.header(value)
        except Wrong as wrong:
            table.note(name, wrong.problem, wrong.remedy)
    return MappingProxyType(headers)
