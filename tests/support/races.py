"""Acts begun at one moment, and the deadlocks between them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from tests.support.hub import Hub

DEADLOCK = "40P01"


def at_once(*acts: Callable[[], Any]) -> Sequence[Any]:
    """Begin these at one moment in a thread each, and return their results."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        start.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@contextmanager
def deadlocks(hub: Hub) -> Iterator[list[str]]:
    """Collect the statements that were given up for another: a second try would hide them."""
    seen: list[str] = []

    def note(context: Any) -> None:
        if getattr(context.original_exception, "sqlstate", None) == DEADLOCK:
            seen.append(str(context.statement))

    engine = hub.registry.database.engine
    event.listen(engine, "handle_error", note)
    try:
        yield seen
    finally:
        event.remove(engine, "handle_error", note)
