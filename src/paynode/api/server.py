"""Serving an app over HTTP/1.1: hypercorn's protocol, within limits, and always able to stop.

Hypercorn shields what it sends from cancellation without a deadline, so that one client who stops reading would keep
a whole node from stopping; and an error on one connection would end them all. Both are cured here, which is why
pyproject.toml pins its minor version.
"""

import logging
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from math import inf

import h11
import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import EndBody, Request
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState, H11SendableEvent
from hypercorn.utils import parse_socket_addr, repr_socket_addr

CONNECTIONS_MAX = 512  # below the 1024 files that systemd gives a service; past it, the longest waiting one goes
BACKLOG = 1024
HEAD_BYTES_MAX = PIECE_BYTES = 16 * 1024  # judged between two pieces: a head has at most both together
IDLE_SECONDS = 10  # between requests, and for all of a request's head: drips gain nothing
READ_SECONDS = 15  # between two pieces of a body, whose total time the app bounds
SEND_SECONDS, SEND_BYTES = 20, 64 * 1024  # for so much of an answer
DRAIN_SECONDS = 2  # for what the client still sends after we answered: closing at once would destroy the answer
DRAIN_BYTES_MAX = 1024 * 1024
GRACE_SECONDS = 3  # for requests under way when we stop

log = structlog.get_logger()


class Server:
    """What the connections of one `serve` share."""

    def __init__(self, app: ASGIFramework) -> None:
        self.app = ASGIWrapper(app)
        self.config = _config()
        self.context = WorkerContext(max_requests=None)
        self.connections: dict[Connection, None] = {}  # in the order they came
        self.ends_at = inf

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serve one connection. Whatever is wrong with it ends it, and nothing else."""
        if len(self.connections) >= CONNECTIONS_MAX and not self._drop_longest_waiting():
            await trio.aclose_forcefully(stream)
            return
        connection = Connection(self, stream)
        self.connections[connection] = None
        try:
            await connection.run()
        except* OSError:
            pass  # the client is gone
        except* Exception as group:  # noqa: BLE001 - the edge: a bug that one client found is not for all to suffer
            log.error("connection_failed", traceback="".join(traceback.format_exception(group)))
        finally:
            del self.connections[connection]

    def stop(self) -> None:
        """End idle connections now, and the others once they have answered, or when the grace is over."""
        self.ends_at = trio.current_time() + GRACE_SECONDS
        for connection in self.connections:
            connection.hurry()

    def _drop_longest_waiting(self) -> bool:
        for connection in self.connections:
            if connection.is_waiting:
                connection.cut()
                return True
        return False


class Connection(TCPServer):
    """One client's connection."""

    def __init__(self, server: Server, stream: trio.SocketStream) -> None:
        state = ConnectionState({})
        super().__init__(server.app, server.config, server.context, state, stream)  # type: ignore[arg-type]
        self.is_waiting = True  # for its client, who has not sent a whole request
        self._server = server
        self._reading = trio.CancelScope()
        self._sending: trio.CancelScope | None = None
        self._is_draining = False
        self._is_over = False

    async def run(self) -> None:
        try:
            socket = self.stream.socket
            client = parse_socket_addr(socket.family, socket.getpeername())
            own = parse_socket_addr(socket.family, socket.getsockname())
            async with TaskGroup() as task_group:
                self._task_group = task_group
                self.protocol = Http11(  # type: ignore[assignment]
                    self.app,
                    self.config,
                    self.context,
                    task_group,
                    ConnectionState({}),
                    ssl=False,
                    client=client,
                    server=own,
                    send=self.protocol_send,
                )
                self.protocol.arrived = self._request_arrived  # type: ignore[attr-defined]
                await self.idle_task.restart(task_group, self._idle_timeout)
                await self._read_data()
                self._is_over = True
                await self.idle_task.stop()
        finally:
            await trio.aclose_forcefully(self.stream)

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            await self._send(event.data)
            return
        # The task of the request that ended may be cancelled by now; its connection must go on, or end, all the same.
        with trio.move_on_after(DRAIN_SECONDS, shield=True):
            if isinstance(event, Closed):
                await self._drain()
            elif isinstance(event, Updated) and not self._is_over:
                self.is_waiting = self.is_waiting or event.idle
                await super().protocol_send(event)

    def hurry(self) -> None:
        """Let what is being sent end when the server does."""
        if self._sending is not None:
            self._sending.deadline = min(self._sending.deadline, self._server.ends_at)

    def cut(self) -> None:
        """Close the socket under whoever waits for it."""
        self.is_waiting = False
        self.stream.socket.close()

    def _request_arrived(self) -> None:
        self.is_waiting = False

    async def _send(self, data: bytes) -> None:
        """Send all of it, whoever is cancelled meanwhile; a client too slow to take it loses the connection."""
        async with self.send_lock:
            for start in range(0, len(data), SEND_BYTES):
                deadline = min(trio.current_time() + SEND_SECONDS, self._server.ends_at)
                with trio.CancelScope(shield=True, deadline=deadline) as self._sending:
                    try:
                        await self.stream.send_all(data[start : start + SEND_BYTES])
                        continue
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        pass
                await trio.aclose_forcefully(self.stream)
                break
            else:
                return
        await self.protocol.handle(Closed())

    async def _drain(self) -> None:
        """Say that we are done, and wait a little for the client to be, too."""
        self._is_draining = True
        self._reading.deadline = trio.current_time() + DRAIN_SECONDS
        try:
            await self.stream.send_eof()
        except (trio.BrokenResourceError, trio.BusyResourceError, trio.ClosedResourceError):
            self._reading.cancel()
        await self.protocol.handle(Closed())

    async def _read_data(self) -> None:
        drained = 0
        with self._reading:
            while drained <= DRAIN_BYTES_MAX:
                data = b""
                # A client who has asked may be silent for as long as it is answered.
                with trio.move_on_after(READ_SECONDS if self.is_waiting else inf):
                    try:
                        data = bytes(await self.stream.receive_some(PIECE_BYTES))
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        break
                if self._is_draining:
                    drained += len(data)
                elif data:
                    await self.protocol.handle(RawData(data))
                if not data:
                    break
        await self.protocol.handle(Closed())


class Http11(H11Protocol):
    """HTTP/1.1 and nothing else: we have no use for WebSockets, and proxies speak HTTP/2 for us."""

    arrived: Callable[[], None]
    _unsent = b""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Take no offer to switch to HTTP/2."""

    async def _create_stream(self, request: h11.Request) -> None:
        self.stream = Stream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        self.stream.arrived = self.arrived
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        """Send an answer's head together with the first of its body, in one packet.

        An answer to a body that has not come whole ends the connection, and says so (RFC 9112, 9.3).
        """
        if isinstance(event, h11.Response) and self.connection.their_state is h11.SEND_BODY:
            event = h11.Response(status_code=event.status_code, headers=[*event.headers, (b"connection", b"close")])
        try:
            data = self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return
        self._unsent += data
        if self._unsent and not isinstance(event, h11.Response):
            unsent, self._unsent = self._unsent, b""
            await self.send(RawData(unsent))


class Stream(HTTPStream):
    """One request and its answer."""

    arrived: Callable[[], None]

    async def handle(self, event: StreamEvent) -> None:
        if isinstance(event, EndBody):
            self.arrived()
        await super().handle(event)


async def serve(
    app: ASGIFramework,
    listen: Sequence[str],
    *,
    stop: trio.Event,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` on each `host:port` of `listen` until `stop` is set, and a few seconds more at most.

    Reports the URLs that are bound, with the ports the system chose where 0 was asked for.
    """
    server = Server(app)
    server.config.bind = list(listen)
    sockets = server.config.create_sockets().insecure_sockets
    urls = [f"http://{repr_socket_addr(socket.family, socket.getsockname())}" for socket in sockets]
    for socket in sockets:
        socket.set_inheritable(False)
        socket.listen(BACKLOG)
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(socket)) for socket in sockets]
    async with trio.open_nursery() as handlers:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(partial(trio.serve_listeners, server.handle, listeners, handler_nursery=handlers))
            task_status.started(urls)
            await stop.wait()
            accepting.cancel_scope.cancel()
        server.stop()
        handlers.cancel_scope.deadline = server.ends_at
        await server.context.terminated.set()


def _config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.backlog = BACKLOG
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    config.include_server_header = False
    config.keep_alive_timeout = IDLE_SECONDS
    config.keep_alive_max_requests = 10_000
    return config
