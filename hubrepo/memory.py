"""How a process keeps its memory: what requests needed goes back to the system, what is loaded stays.

glibc keeps what threads free, each in an arena of its own, and takes the largest block that was ever
freed for one worth keeping (mallopt(3), `M_MMAP_THRESHOLD`). A few odd bodies of some megabytes then
cost several times what they hold, for long.

Python's collector of garbage looks through all that a hub is made of, which takes a fifth of a second in
which nothing else runs: now and then, in each worker (which so gets a copy of all of it), and at the end.
"""

import ctypes
import gc

# malloc.h
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

# Above what files are copied with, so a large upload does not ask the system for each piece.
OWN_MAPPING = 512 * 1024
ARENAS = 2


def configure_malloc() -> None:
    """For this process, from now on. Where malloc is not glibc's nothing changes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, OWN_MAPPING)
        mallopt(_M_ARENA_MAX, ARENAS)


def keep_loaded() -> None:
    """Let the collector leave alone what there is by now, in this process and those that it forks.

    Garbage too: whoever may have left some collects first.
    """
    gc.freeze()
