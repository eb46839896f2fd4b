"""The watchdog: tells systemd that the node is ready, and that it works, for as long as every loop comes round.

Being alive is not enough: if one loop hangs, WATCHDOG=1 is withheld and systemd restarts the node (its
`WatchdogSec=`). Without systemd nothing is sent, and late loops are only logged.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
import trio

from paynode.domain.progress import Progress

INTERVAL_SECONDS = 15.0  # where systemd asks for no watchdog, how often late loops are looked for
SEND_SECONDS_MAX = 1.0  # the manager reads at once, or is in trouble itself

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Notifier:
    """The way to the service manager that started this process; `address` None: nobody asked to be told."""

    address: str | None
    interval_seconds: float = INTERVAL_SECONDS

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Notifier":
        """What $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID say; a beat is due twice in the time systemd waits."""
        is_for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_us = environ.get("WATCHDOG_USEC", "")
        is_asked = is_for_us and watchdog_us.isdecimal() and int(watchdog_us) > 0
        interval_seconds = int(watchdog_us) / 2_000_000 if is_asked else INTERVAL_SECONDS
        return cls(environ.get("NOTIFY_SOCKET") or None, interval_seconds)

    async def send(self, *assignments: str) -> None:
        """Send one message, such as `("READY=1", "STATUS=Working")`."""
        if self.address is None:
            await trio.lowlevel.checkpoint()
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address  # @: Linux's abstract names
        with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_DGRAM) as notify:
            try:
                with trio.move_on_after(SEND_SECONDS_MAX):
                    await notify.sendto("\n".join(assignments).encode(), address)
            except OSError as error:  # to stop for it would do what systemd does anyway if it hears nothing
                log.warning("systemd_not_told", reason=error.strerror)


async def run(
    progress: Progress,
    urls: Sequence[str],
    *,
    notifier: Notifier | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Say READY, then keep systemd told, for ever. Start it last: `urls` is where the node listens by now."""
    notifier = notifier or Notifier.from_environ(os.environ)
    working = f"STATUS=Working; listening on {', '.join(urls)}"
    await notifier.send("READY=1", working)
    task_status.started()
    known_late: tuple[str, ...] = ()
    while True:
        late = progress.late()
        if late:
            await notifier.send(f"STATUS=No progress: {', '.join(late)}")
        else:
            await notifier.send("WATCHDOG=1", working)
        if late and late != known_late:
            log.error("no_progress", loops=late)
        elif known_late and not late:
            log.info("progress_again", loops=known_late)
        known_late = late
        await trio.sleep(notifier.interval_seconds)


async def stopping(notifier: Notifier | None = None) -> None:
    """Tell systemd that we stop because we were asked to."""
    notifier = notifier or Notifier.from_environ(os.environ)
    await notifier.send("STOPPING=1", "STATUS=Stopping")
