"""Small writes that no answer waits for: they take their turn behind everybody else's."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hubrepo.kernel.db.database import Database

log = logging.getLogger(__name__)

MOST_WAITING = 1000


class Afterwards:
    """One thread that writes, in order. Beyond a bound, what comes is dropped with a warning."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = BoundedSemaphore(MOST_WAITING)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="afterwards")

    def write(self, what: str, act: Callable[[Session], None]) -> None:
        """Call `act` with a session, later; `what` names it in the log if it fails."""
        if self._room.acquire(blocking=False):
            self._thread.submit(self._run, what, act)
        else:
            log.warning("too much to write: dropped %s", what)

    def _run(self, what: str, act: Callable[[Session], None]) -> None:
        try:
            with self._database.write() as db:
                act(db)
        except SQLAlchemyError:
            log.exception("could not write %s", what)
        finally:
            self._room.release()

    def settle(self) -> None:
        """Wait until all that was asked for so far is written."""
        self._thread.submit(lambda: None).result()
