"""A merchant's receiver that does as little as possible, in a process of its own.

`python -m tests.bench.sink COUNT SKIPPED` prints its port, takes COUNT posts, and prints the seconds between the
first that is not SKIPPED and the last.
"""

import sys
import time
from functools import partial

import trio

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Sink:
    def __init__(self, count: int, skipped: int) -> None:
        self._count, self._skipped = count, skipped
        self._seen = 0
        self._began = 0.0
        self.seconds = 0.0
        self.is_full = trio.Event()

    async def serve(self, stream: trio.SocketStream) -> None:
        received = b""
        try:
            while True:
                while b"\r\n\r\n" not in received:
                    if not (chunk := await stream.receive_some()):
                        return
                    received += chunk
                head, received = received.split(b"\r\n\r\n", 1)
                lines = head.lower().split(b"\r\n")
                (length,) = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
                while len(received) < length:
                    received += await stream.receive_some()
                received = received[length:]
                self._note()
                await stream.send_all(ANSWER)
        except trio.BrokenResourceError:
            return

    def _note(self) -> None:
        self._seen += 1
        if self._seen == self._skipped:
            self._began = time.perf_counter()
        if self._seen == self._count:
            self.seconds = time.perf_counter() - self._began
            self.is_full.set()


async def _main(count: int, skipped: int) -> None:
    sink = Sink(count, skipped)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, sink.serve, 0, host="127.0.0.1"))
        print(listener.socket.getsockname()[1], flush=True)
        await sink.is_full.wait()
        print(sink.seconds, flush=True)
        await trio.sleep(1)  # the last answers go out
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_main, int(sys.argv[1]), int(sys.argv[2]))
