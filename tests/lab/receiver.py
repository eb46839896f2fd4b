"""A merchant's webhook receiver on loopback, whose manners are chosen by path and may change while it runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import h11
import trio

FLOOD = b"x" * (128 * 1024)


@dataclass(frozen=True, slots=True, eq=False)
class Hook:
    """One webhook as it was received: the same bytes received twice are two of them."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """An HTTP server; `manners` by path: a status code, `hang`, `redirect`, `close`, `flood`. Others get 200."""

    manners: dict[str, str] = field(default_factory=dict)
    hooks: list[Hook] = field(default_factory=list)
    on_hook: Callable[[Hook], None] | None = None  # told of each as it comes
    port: int = 0
    _changed: trio.Event = field(default_factory=trio.Event)

    async def listen(self, nursery: trio.Nursery) -> None:
        """Start serving in `nursery`, on a free port."""
        listeners = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
        self.port = listeners[0].socket.getsockname()[1]

    @property
    def allow(self) -> list[str]:
        return [f"127.0.0.1:{self.port}"]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def hooks_of(self, path: str) -> list[Hook]:
        return [hook for hook in self.hooks if hook.path == path]

    async def wait_for(self, path: str, count: int) -> list[Hook]:
        """The hooks on `path`, once there are `count`."""
        while len(found := self.hooks_of(path)) < count:
            await self._changed.wait()
        return found

    async def _serve(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            while (hook := await _receive(connection, stream)) is not None:
                self.hooks.append(hook)
                if self.on_hook is not None:
                    self.on_hook(hook)
                self._changed.set()
                self._changed = trio.Event()
                if not await self._answer(self.manners.get(hook.path, "200"), connection, stream):
                    return
                connection.start_next_cycle()
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            return  # the sender went away, perhaps in the middle of a request
        finally:
            await trio.aclose_forcefully(stream)

    async def _answer(self, manner: str, connection: h11.Connection, stream: trio.SocketStream) -> bool:
        """Answer in that manner; tells whether the connection stays."""
        match manner:
            case "hang":
                await trio.sleep_forever()
            case "redirect":
                location = self.url("/elsewhere").encode()
                await stream.send_all(_response(connection, 307, b"", (b"location", location)))
            case "close":  # accepted, in an answer that ends with its connection
                await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\nok")
                return False
            case "flood":
                await stream.send_all(_response(connection, 500, FLOOD))
            case _:
                await stream.send_all(_response(connection, int(manner), b"thanks"))
        return True


async def _receive(connection: h11.Connection, stream: trio.SocketStream) -> Hook | None:
    request, body = None, b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some())
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            return None
    assert request is not None, "a message begins with its head"
    headers = {name.decode(): value.decode() for name, value in request.headers}
    return Hook(request.target.decode(), headers, body)


def _response(connection: h11.Connection, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> bytes:
    length = (b"content-length", str(len(body)).encode())
    parts = [h11.Response(status_code=status, headers=[length, *headers]), h11.Data(data=body), h11.EndOfMessage()]
    return b"".join(connection.send(part) or b"" for part in parts)
