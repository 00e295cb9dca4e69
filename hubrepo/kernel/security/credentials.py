"""What authenticators of all kinds need: to look a credential up, and to note that it was used."""

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any, Protocol, TypeVar

from cachetools import LRUCache
from sqlalchemy import or_, update
from sqlalchemy.orm import Mapped, Session

from hubrepo.kernel.db import Afterwards, Id, Rows

TOUCH_EVERY = timedelta(minutes=1)
MOST_TOUCHED = 4096

Found = TypeVar("Found")


class Used(Protocol):
    """A table of credentials that tells when each was used last."""

    id: Mapped[Id]
    last_used_at: Mapped[datetime | None]


class Touches:
    """Notes when credentials were used, a little later, and at most once in TOUCH_EVERY."""

    def __init__(self, later: Afterwards) -> None:
        self._later, self._lock = later, Lock()
        self._noted: LRUCache[tuple[type, int], datetime] = LRUCache(MOST_TOUCHED)

    def note(
        self, model: type[Used], row_id: int, last_used_at: datetime | None, moment: datetime
    ) -> None:
        """The credential in that row of `model`, last used as read there, was used at `moment`."""
        if _is_recent(last_used_at, moment):
            return
        with self._lock:
            # It may be noted, and not yet written; or written, and read before.
            if _is_recent(self._noted.get((model, row_id)), moment):
                return
            self._noted[model, row_id] = moment
        what = f"that {model.__name__} {row_id} was used"
        self._later.write(what, partial(_touch, model, row_id, moment))


def _touch(model: type[Any], row_id: int, moment: datetime, db: Session) -> None:
    stale = or_(model.last_used_at.is_(None), model.last_used_at <= moment - TOUCH_EVERY)
    db.execute(update(model).where(model.id == row_id, stale).values(last_used_at=moment))


def _is_recent(noted: datetime | None, moment: datetime) -> bool:
    return noted is not None and moment - noted < TOUCH_EVERY


def look_up(request: Any, ask: Callable[[Rows], Found]) -> Found:
    """What `ask` finds in rows that are as they are now.

    For a request that changes something not in its own transaction: that would take the right to write
    before the body is read.
    """
    if request.is_safe:
        return ask(request.rows)
    with closing(request.registry.database.rows()) as rows:
        return ask(rows)
