"""Clients that create invoices as fast as they are answered, in a process of their own: they cost the node nothing.

`python -m tests.bench.load PORT KEY METHOD CLIENTS COUNT` prints one JSON object: `seconds` for all of COUNT, and
each one's latency in `ms`.
"""

import json
import sys
import time

import trio

WARM_UP = 100
SECONDS_MAX = 120.0


class Load:
    """What the clients share."""

    def __init__(self, port: int, key: str, method: str) -> None:
        self._port, self._key, self._method = port, key, method
        self.left = 0
        self.ms: list[float] = []

    async def run(self, clients: int, count: int) -> float:
        """Create `count` invoices; returns how many seconds that took."""
        self.left = count
        self.ms.clear()
        streams = [await trio.open_tcp_stream("127.0.0.1", self._port) for _ in range(clients)]
        started = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(self._client, stream)
        return time.perf_counter() - started

    async def _client(self, stream: trio.SocketStream) -> None:
        async with stream:
            while self.left > 0:
                self.left -= 1
                request = self._request(self.left)
                started = time.perf_counter()
                await stream.send_all(request)
                await _answered(stream)
                self.ms.append((time.perf_counter() - started) * 1000)

    def _request(self, number: int) -> bytes:
        body = json.dumps(
            {
                "amount": "49.90",
                "currency": "USD",
                "methods": [self._method],
                "order_id": f"order-{number}",
                "name": f"Order {number}",
                "customer": "customer-17",
                "metadata": {"cart": "7c1f", "channel": "web"},
                "success_url": "https://shop.example.com/thanks",
                "provision": True,
            }
        )
        head = (
            f"POST /v1/invoices HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Type: application/json\r\nIdempotency-Key: {time.perf_counter_ns()}-{number}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return (head + body).encode()


async def _answered(stream: trio.SocketStream) -> None:
    """Read one whole answer; it must be 201."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += await _some(stream)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201"), received
    (length,) = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = length - len(body)
    while missing > 0:
        missing -= len(await _some(stream))


async def _some(stream: trio.SocketStream) -> bytes:
    chunk = bytes(await stream.receive_some())
    assert chunk, "the node closed the connection"
    return chunk


async def _main(port: int, key: str, method: str, clients: int, count: int) -> None:
    load = Load(port, key, method)
    with trio.fail_after(SECONDS_MAX):
        await load.run(clients, WARM_UP)
        seconds = await load.run(clients, count)
    print(json.dumps({"seconds": seconds, "ms": load.ms}))


if __name__ == "__main__":
    trio.run(_main, int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
