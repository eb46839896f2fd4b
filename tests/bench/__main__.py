"""`python -m tests.bench [FIGURE ...]`, by the names below: all of them, if none is named."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence

import trio
from tests.bench import block, calls, create, decode, idle, pages, start, tick, webhooks
from tests.bench.report import HEAD, Line, machine, show

FIGURES: dict[str, Callable[[], AsyncIterator[list[Line]]]] = {
    "create": create.run,
    "start": start.run,
    "idle": idle.run,
    "webhooks": webhooks.run,
    "block": block.run,
    "calls": calls.run,
    "decode": decode.run,
    "tick": tick.run,
    "pages": pages.run,
}


async def _main(names: Sequence[str]) -> None:
    print(f"{machine()}\n\n{HEAD}", flush=True)
    for name in names:
        async for lines in FIGURES[name]():
            show(lines)


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(FIGURES)
    if unknown := [name for name in chosen if name not in FIGURES]:
        sys.exit(f"There is no {', '.join(unknown)}; there are {', '.join(FIGURES)}.")
    trio.run(_main, chosen)
