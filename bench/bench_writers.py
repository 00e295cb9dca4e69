"""Promise: on SQLite nobody waits much longer for the right to write than the others take once.

Eight threads write all the time, first through the hub's sessions, then with SQLite's own waiting,
each as durable as the other, in every round. The longest wait of a round is compared, in turns of all eight
and beside SQLite's own; what all take together may cost a quarter more.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import text
from support import Verdict, folder, take_turns

from hubrepo.kernel.db import Database

WRITERS = 8
EACH = 30
# Seconds between getting the right to write and giving it back, besides the write.
HELD = 0.005

INSERT = "INSERT INTO counts VALUES (1)"
Write = Callable[[], float]


class Ours:
    """Writes as a request does."""

    def __init__(self, path: Path) -> None:
        self._database = Database(f"sqlite:///{path}")

    @contextmanager
    def writer(self) -> Iterator[Write]:
        """What writes once, and tells how long it waited."""
        yield self._write

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def _write(self) -> float:
        began = time.perf_counter()
        with self._database.write() as db:
            db.execute(text(INSERT))
            waited = time.perf_counter() - began
            time.sleep(HELD)
        return waited


class Plain:
    """Writes with what SQLite has for it: whoever waits asks again now and then, for a minute."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def writer(self) -> Iterator[Write]:
        """As above, over a connection of its own."""
        with closing(sqlite3.connect(self._path, timeout=60, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            yield lambda: self._write(connection)

    def _write(self, connection: sqlite3.Connection) -> float:
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(INSERT)
        waited = time.perf_counter() - began
        time.sleep(HELD)
        connection.execute("COMMIT")
        return waited


def round_of(side: Ours | Plain) -> tuple[float, float]:
    """The longest wait of any writer, and what all took together, in seconds."""

    def work(_number: int) -> float:
        with side.writer() as write:
            return max(write() for _ in range(EACH))

    started = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as pool:
        longest = max(pool.map(work, range(WRITERS)))
    return longest, time.perf_counter() - started


def main() -> None:
    verdict = Verdict(f"{WRITERS} writers at one SQLite file")
    with folder() as place:
        path = place / "hub.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE counts (x INTEGER)")
        took: dict[str, list[float]] = {"ours": [], "plain": []}

        def longest(name: str, side: Ours | Plain) -> float:
            wait, whole = round_of(side)
            took[name].append(whole)
            return wait

        with closing(Ours(path)) as ours:
            plain = Plain(path)
            waits = take_turns(
                {"ours": lambda: longest("ours", ours), "plain": lambda: longest("plain", plain)}
            )
    whole = {name: sum(values) / len(values) for name, values in took.items()}
    for name, label in (("ours", "hub"), ("plain", "SQLite alone")):
        verdict.show(f"{label}: longest wait", waits[name] * 1000, "ms")
        verdict.show(f"{label}: all writes", whole[name] * 1000, "ms")
    once = whole["ours"] / EACH
    verdict.at_most("longest wait / all eight once", waits["ours"] / once, 3)
    verdict.at_most("longest wait / that of SQLite alone", waits["ours"] / waits["plain"], 0.5)
    verdict.at_most("all writes / those of SQLite alone", whole["ours"] / whole["plain"], 1.25)
    verdict.close()


if __name__ == "__main__":
    main()
