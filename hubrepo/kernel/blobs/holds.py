"""Keeping released bytes for a while: whoever copies a hub reads the rows first, and the bytes after."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.exc import SQLAlchemyError

from hubrepo.kernel.base import HubError, now
from hubrepo.kernel.blobs.models import Hold
from hubrepo.kernel.db import Database

# A process that dies leaves its hold behind: so long nothing is removed because of it.
LASTS = timedelta(hours=1)
RENEWED_AFTER = timedelta(minutes=1)


class HoldLapsed(HubError):
    """Copying stood still for so long that bytes may have been removed meanwhile."""

    code = "hold-lapsed"
    message = "it stood still for too long, and bytes may have been removed meanwhile: start again"


def nobody_holds(moment: datetime) -> ColumnElement[bool]:
    """Whether bytes may be removed.

    Asked within the statement that chooses them, so that what it sees released, it also sees held.
    """
    return ~exists(select(Hold.id).where(Hold.until > moment))


def is_held(database: Database) -> bool:
    """Whether somebody holds all bytes now."""
    with database.read() as db:
        return not db.scalar(select(nobody_holds(now())))


class Held:
    """A hold of this process. Call `renew` every now and then."""

    def __init__(self, database: Database, hold_id: int, renewed: datetime) -> None:
        self._database, self._id, self._renewed = database, hold_id, renewed

    def renew(self) -> None:
        """Make it last longer. Raises HoldLapsed."""
        moment = now()
        if moment - self._renewed < RENEWED_AFTER:
            return
        mine = (Hold.id == self._id, Hold.until > moment)
        try:
            with self._database.write() as db:
                kept = db.scalar(
                    update(Hold).where(*mine).values(until=moment + LASTS).returning(Hold.id)
                )
        except SQLAlchemyError:
            if moment - self._renewed > LASTS / 2:
                raise
            # There is time enough to try again.
            return
        if kept is None:
            raise HoldLapsed
        self._renewed = moment


@contextmanager
def hold(database: Database, reason: str) -> Iterator[Held]:
    """Until the end of the block no process removes bytes; what is released meanwhile goes later."""
    moment = now()
    with database.write() as db:
        db.execute(delete(Hold).where(Hold.until <= moment))
        mine = Hold(reason=reason, until=moment + LASTS)
        db.add(mine)
        db.flush()
        hold_id = mine.id
    try:
        yield Held(database, hold_id, moment)
    finally:
        with database.write() as db:
            db.execute(delete(Hold).where(Hold.id == hold_id))
