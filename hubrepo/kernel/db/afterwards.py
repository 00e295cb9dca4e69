"""Small writes that no answer waits for: one thread does them, one after the other."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import BoundedSemaphore, Event, Lock

from sqlalchemy.orm import Session

from hubrepo.kernel.db.database import Database

log = logging.getLogger(__name__)

MOST_WAITING = 1000
MOST_DISPENSABLE = 500


class Afterwards:
    """The thread that does them. Beyond a bound, what comes is dropped with a warning."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = BoundedSemaphore(MOST_WAITING)
        self._room_to_spare = BoundedSemaphore(MOST_DISPENSABLE)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="afterwards")
        self._lock, self._unfinished = Lock(), 0
        self._ending = Event()

    @property
    def is_ending(self) -> bool:
        """Whether the process is about to end: what takes long leaves off, and the next start goes on."""
        return self._ending.is_set()

    def write(self, what: str, act: Callable[[Session], None]) -> None:
        """Call `act` with a session, later; `what` names it in the log if it fails."""
        self.call(what, partial(self._write, act))

    def call(self, what: str, act: Callable[[], object], *, dispensable: bool = False) -> None:
        """Call `act`, which sees to its own transactions, later.

        What takes long does a part of it, and calls for the rest again: others wait behind it. What is
        dispensable never takes the place of what is not.
        """
        room = self._room_to_spare if dispensable else self._room
        if not room.acquire(blocking=False):
            log.warning("too much to do: dropped %s", what)
            return
        self._count(1)
        try:
            self._thread.submit(self._run, what, act, room)
        except RuntimeError:
            self._count(-1)
            log.warning("too late: dropped %s", what)

    def _count(self, more: int) -> None:
        with self._lock:
            self._unfinished += more

    def _write(self, act: Callable[[Session], None]) -> None:
        with self._database.write() as db:
            act(db)

    def _run(self, what: str, act: Callable[[], object], room: BoundedSemaphore) -> None:
        try:
            act()
        except Exception:
            # Nobody else would hear of it: who asked for it has gone on.
            log.exception("could not write %s", what)
        finally:
            self._count(-1)
            room.release()

    def settle(self) -> None:
        """Wait until all that was asked for so far is written, and what was called for meanwhile."""
        while self._unfinished:
            self._thread.submit(lambda: None).result()

    def end(self) -> None:
        """The process is about to end; see `is_ending`."""
        self._ending.set()

    def close(self, seconds: float) -> None:
        """End, and take what waits: as much of it as can be done in so many seconds."""
        self.end()
        done = self._thread.submit(lambda: None)
        self._thread.shutdown(wait=False)
        try:
            done.result(seconds)
        except TimeoutError:
            log.warning("too late: dropped what waited to be written")
        self._thread.shutdown(wait=False, cancel_futures=True)
