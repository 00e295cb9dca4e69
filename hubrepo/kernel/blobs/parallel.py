"""Doing the same to many things, a few at a time: a store on the network answers late, but many at once.

What runs for hours meets a store or a database that is away for a moment. It comes back to it, where a
request would have told its client to.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, sleep
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from hubrepo.kernel.base import Unavailable
from hubrepo.kernel.blobs.stores import StoreUnavailable
from hubrepo.kernel.db import failure_of

Thing = TypeVar("Thing")
Result = TypeVar("Result")

THREADS = 8

# Seconds for which something is tried again, and between two tries at most.
PATIENCE = 20.0
LONGEST_PAUSE = 5.0


def in_parallel(
    act: Callable[[Thing], Result], things: Iterable[Thing], threads: int = THREADS
) -> Iterator[Result]:
    """What `act` makes of each of `things`, in their order, of which few are taken ahead.

    Unlike `Executor.map`, which would take all of them at once. The first error that lasts ends it.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for thing in things:
                waiting.append(pool.submit(persistently, act, thing))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()


def persistently(act: Callable[[Thing], Result], thing: Thing) -> Result:
    """What `act` makes of `thing`, tried again while a store or the database is not available."""
    until, pause = monotonic() + PATIENCE, 0.25
    while True:
        try:
            return act(thing)
        except (StoreUnavailable, SQLAlchemyError) as error:
            if monotonic() + pause > until or not _is_passing(error):
                raise
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _is_passing(error: Exception) -> bool:
    return isinstance(error, StoreUnavailable) or isinstance(failure_of(error), Unavailable)
