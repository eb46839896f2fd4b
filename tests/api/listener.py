"""A client of server-sent events on a real socket."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
from tests.api.test_server import Served

LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Sent:
    """One message as it came."""

    name: str
    id: str | None
    data: Any


class Listener:
    """A client of one stream."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._unread = b""
        self._text = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.comments: list[str] = []

    async def ask(self, path: str, headers: Mapping[str, str]) -> None:
        lines = [f"GET {path} HTTP/1.1", "Host: shop.example", *(f"{name}: {text}" for name, text in headers.items())]
        await self.stream.send_all("\r\n".join([*lines, "", ""]).encode())
        head = (await self._until(b"\r\n\r\n")).decode().splitlines()
        self.status = int(head[0].split()[1])
        self.headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in head[1:])}
        if self.status == 200:
            assert await self._piece() == "retry: 3000"  # at once, though nothing has happened yet

    async def next(self) -> Sent:
        """The next message; comments are noted and passed over."""
        while True:
            fields: dict[str, str] = {}
            for line in (await self._piece()).splitlines():
                name, _, text = line.partition(": ")
                fields[name] = text
                if line.startswith(":"):
                    self.comments.append(text)
            if "data" in fields:
                return Sent(fields["event"], fields.get("id"), json.loads(fields["data"]))

    async def comment(self) -> str:
        while not self.comments:
            for line in (await self._piece()).splitlines():
                if line.startswith(":"):
                    self.comments.append(line)
        return self.comments.pop()

    async def is_over(self) -> bool:
        """Whether the stream ends with no further message."""
        while len(self._unread) < len(LAST_CHUNK):
            await self._more()
        return self._unread == LAST_CHUNK and not self._text

    async def _piece(self) -> str:
        """One block of lines, whatever chunks it came in."""
        while "\n\n" not in self._text:
            size = int((await self._until(b"\r\n")), 16)
            assert size, "the stream ended"
            while len(self._unread) < size + 2:
                await self._more()
            self._text += self._unread[:size].decode()
            self._unread = self._unread[size + 2 :]
        piece, _, self._text = self._text.partition("\n\n")
        return piece

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            await self._more()
        found, _, self._unread = self._unread.partition(mark)
        return found

    async def _more(self) -> None:
        piece = await self.stream.receive_some()
        assert piece, "the connection ended"
        self._unread += piece


@asynccontextmanager
async def listening(served: Served, path: str, key: str | None = None, **headers: str) -> AsyncIterator[Listener]:
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    async with await served.connect() as stream:
        listener = Listener(stream)
        await listener.ask(path, sent)
        yield listener
