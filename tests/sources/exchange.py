"""An exchange on loopback: it answers GETs by script, and may hang, flood, or break off."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import trio


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over the wire, right or wrong."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    claimed: int | None = None  # the length it claims, if not the body's; the connection closes after it


Query = Mapping[str, str]
Script = Callable[[str, Query], Reply | Awaitable[Reply]]


@dataclass(slots=True)
class Exchange:
    script: Script
    url: str = ""
    asked: list[tuple[str, Query]] = field(default_factory=list)

    async def serve(self, stream: trio.SocketStream) -> None:
        received = b""
        try:
            while True:
                while b"\r\n\r\n" not in received:
                    if not (chunk := await stream.receive_some()):
                        return
                    received += chunk
                head, received = received.split(b"\r\n\r\n", 1)
                target = urlsplit(head.split(b" ")[1].decode())
                query = dict(parse_qsl(target.query))
                self.asked.append((target.path, query))
                answered = self.script(target.path, query)
                reply = answered if isinstance(answered, Reply) else await answered
                length = len(reply.body) if reply.claimed is None else reply.claimed
                headers = {"content-length": str(length), "content-type": "application/json", **reply.headers}
                lines = [f"HTTP/1.1 {reply.status} Reply", *(f"{name}: {value}" for name, value in headers.items())]
                await stream.send_all("\r\n".join([*lines, "\r\n"]).encode() + reply.body)
                if reply.claimed is not None:
                    return
        except trio.BrokenResourceError:
            return  # the client hung up, as clients do
        finally:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def exchange(script: Script) -> AsyncIterator[Exchange]:
    """An exchange on a free loopback port."""
    server = Exchange(script)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1"))
        server.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield server
        nursery.cancel_scope.cancel()


def said(value: Any, **how: Any) -> Reply:
    return Reply(json.dumps(value).encode(), **how)


async def silence(path: str, query: Query) -> Reply:
    await trio.sleep_forever()
    raise AssertionError("nobody wakes it")
