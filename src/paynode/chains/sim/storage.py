"""A simulated network kept in one file: written anew after each change, and whole at any moment."""

import os
from functools import partial
from pathlib import Path

from paynode.chains.sim.world import Clock, World


def open_world(path: Path, native: str, clock: Clock, *, seed: str = "") -> World:
    """The network that `path` holds, or a new one that is kept there from now on.

    Raises:
        ValueError: the file holds something else; the message says what to do.
    """
    world = World(native, clock, seed=seed)
    if (content := load(path)) is not None:
        try:
            world.restore(content)
        except ValueError as error:
            raise ValueError(f"{path} is not what this network left there ({error}). Move it away.") from None
    world.save = partial(save, path)
    save(path, world.snapshot())
    return world


def load(path: Path) -> bytes | None:
    """The content of `path`, or None if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def save(path: Path, content: bytes) -> None:
    """Put `content` in place of what `path` holds: after a crash it is the one or the other, and never a part."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
