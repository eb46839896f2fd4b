"""JSON-RPC servers on loopback that misbehave: scripted ones, and liars in front of a real chain."""

import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import trio
from tests.lab.client import Lab, LabError

RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, of no length


class Cut(Enum):
    """How a connection ends without one byte of an answer."""

    CLOSED = "closed"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over the wire, right or wrong."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None  # only so many bytes of the body, then the connection is cut
    drip_seconds: float | None = None  # one byte at a time
    is_last: bool = False  # the connection closes after it, and it says so
    cut: Cut | None = None  # the connection ends instead


Script = Callable[[Any], Awaitable[Reply]]
Twist = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


@dataclass(slots=True)
class Stub:
    """A running server. `script` may be exchanged; `requests` are the bodies it was sent, parsed."""

    script: Script
    url: str = ""
    requests: list[Any] = field(default_factory=list)
    connections: int = 0

    @property
    def methods(self) -> list[str]:
        """The methods asked for, batches flattened."""
        calls = (call for body in self.requests for call in (body if isinstance(body, list) else [body]))
        return [call["method"] for call in calls]

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        received = b""
        try:
            while True:
                while b"\r\n\r\n" not in received:
                    if not (chunk := await stream.receive_some()):
                        return
                    received += chunk
                head, received = received.split(b"\r\n\r\n", 1)
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
                length = int(fields[b"content-length"])
                while len(received) < length:
                    if not (chunk := await stream.receive_some()):
                        return
                    received += chunk
                body, received = json.loads(received[:length]), received[length:]
                self.requests.append(body)
                reply = await self.script(body)
                if reply.cut is not None:
                    if reply.cut is Cut.RESET:
                        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, RST_ON_CLOSE)
                    return
                await self._send(stream, reply)
                if reply.is_last or reply.sent is not None:
                    return
        except trio.BrokenResourceError:
            return  # the client went away, as clients do
        finally:
            await trio.aclose_forcefully(stream)

    async def _send(self, stream: trio.SocketStream, reply: Reply) -> None:
        headers = {"content-type": "application/json", "content-length": str(len(reply.body)), **reply.headers}
        if reply.is_last:
            headers["connection"] = "close"
        lines = [f"HTTP/1.1 {reply.status} Reply", *(f"{name}: {value}" for name, value in headers.items())]
        await stream.send_all("\r\n".join([*lines, "\r\n"]).encode())
        if reply.drip_seconds is not None:
            for byte in reply.body:
                await stream.send_all(bytes([byte]))
                await trio.sleep(reply.drip_seconds)
        else:
            await stream.send_all(reply.body[: reply.sent])


@asynccontextmanager
async def stub(script: Script) -> AsyncIterator[Stub]:
    """A server on a free loopback port that answers each request by `script`."""
    server = Stub(script)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, server.serve, 0)
        server.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield server
        nursery.cancel_scope.cancel()


def result(call: Mapping[str, Any], value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call["id"], "result": value}


def error(call: Mapping[str, Any], code: int, message: str, data: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message, "data": data}}


def reply(answer: Any, **how: Any) -> Reply:
    return Reply(json.dumps(answer).encode(), **how)


def scripted(chain_id: int, script: Script) -> Script:
    """`script`, with eth_chainId answered rightly before it."""

    async def answer(body: Any) -> Reply:
        if isinstance(body, dict) and body["method"] == "eth_chainId":
            return reply(result(body, hex(chain_id)))
        return await script(body)

    return answer


def in_front_of(lab: Lab, twist: Twist) -> Script:
    """A script that asks the real chain and lets `twist(call, answer)` bend each answer."""

    async def one(call: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = result(call, await lab.rpc(call["method"], *call["params"]))
        except LabError as refused:
            answer = error(call, *refused.args)
        return twist(call, answer)

    async def answer(body: Any) -> Reply:
        return reply([await one(call) for call in body] if isinstance(body, list) else await one(body))

    return answer
