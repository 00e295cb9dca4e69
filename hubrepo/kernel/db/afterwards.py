"""Small writes that no answer waits for: they take their turn behind everybody else's."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import BoundedSemaphore

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hubrepo.kernel.db.database import Database

log = logging.getLogger(__name__)

MOST_WAITING = 1000
MOST_DISPENSABLE = 500


class Afterwards:
    """One thread that writes, in order. Beyond a bound, what comes is dropped with a warning."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = BoundedSemaphore(MOST_WAITING)
        self._room_to_spare = BoundedSemaphore(MOST_DISPENSABLE)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="afterwards")

    def write(self, what: str, act: Callable[[Session], None]) -> None:
        """Call `act` with a session, later; `what` names it in the log if it fails."""
        self.call(what, partial(self._write, act))

    def call(self, what: str, act: Callable[[], object], *, dispensable: bool = False) -> None:
        """Call `act`, which sees to its own transactions, later.

        What is dispensable never takes the place of what is not.
        """
        room = self._room_to_spare if dispensable else self._room
        if room.acquire(blocking=False):
            self._thread.submit(self._run, what, act, room)
        else:
            log.warning("too much to do: dropped %s", what)

    def _write(self, act: Callable[[Session], None]) -> None:
        with self._database.write() as db:
            act(db)

    def _run(self, what: str, act: Callable[[], object], room: BoundedSemaphore) -> None:
        try:
            act()
        except SQLAlchemyError:
            log.exception("could not write %s", what)
        finally:
            room.release()

    def settle(self) -> None:
        """Wait until all that was asked for so far is written."""
        self._thread.submit(lambda: None).result()
