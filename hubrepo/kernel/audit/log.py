"""Writing and reading the log of events.

An event is a frozen dataclass named in the past tense. Its `action` is a stable word, its `subject`
names what it happened to, its other fields are the details.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Protocol
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hubrepo.kernel.audit.models import Event
from hubrepo.kernel.base import HubError, iso_micros, one_line, redact, redacted

DONE = "done"
REFUSED = "refused"

# An event stays for ever, so what strangers write into it is cut.
MOST_KEPT = 500
MOST_ACTION = 64


class Happening(Protocol):
    """What every event has."""

    action: ClassVar[str]

    @property
    def subject(self) -> str:
        """What it happened to, such as `package:widget`."""


@dataclass(frozen=True)
class Actor:
    """Who acts: `key:kpf_0123abcd`, `key:kpf_0123abcd user:alice`, `operator:root`, `anonymous`."""

    name: str
    organisation_id: int | None = None


@dataclass(frozen=True)
class Refusal:
    """Something was asked for, and was not done."""

    action: str
    subject: str
    status: int
    code: str
    message: str
    path: str | None = None

    @classmethod
    def of(cls, action: str, subject: str, error: HubError, path: str | None = None) -> "Refusal":
        """The refusal of `action` that ended in `error`; at the URL `path`, if it was asked there."""
        message = redact(error.message)[:MOST_KEPT]
        asked_at = path and redact(path)[:MOST_KEPT]
        action = one_line(action)[:MOST_ACTION]
        return cls(action, subject, error.status, error.code, message, asked_at)


class AuditLog:
    """The log as one actor writes it, in the transaction of `db`."""

    def __init__(
        self, db: Session, actor: Actor, now: datetime, request_id: str | None = None
    ) -> None:
        self._db, self._actor, self._now, self._request_id = db, actor, now, request_id

    def record(self, happened: Happening, organisation_id: int | None = None) -> None:
        """Add `happened`; in the actor's organisation, unless another is named."""
        self._add(happened, DONE, organisation_id)

    def refuse(self, refusal: Refusal, organisation_id: int | None = None) -> None:
        """Add a refusal. Its session must not be the one that the refusal aborts."""
        self._add(refusal, REFUSED, organisation_id)

    def _add(self, event: Any, outcome: str, organisation_id: int | None) -> None:
        details = {each.name: redacted(getattr(event, each.name)) for each in fields(event)}
        details.pop("action", None)
        details.pop("subject", None)
        self._db.add(
            Event(
                at=self._now,
                organisation_id=organisation_id or self._actor.organisation_id,
                actor=self._actor.name,
                action=event.action,
                outcome=outcome,
                subject=redact(one_line(event.subject))[:MOST_KEPT],
                details=details,
                request_id=self._request_id,
            )
        )


def events_of(
    db: Session,
    organisation_id: int,
    *,
    subject: str | None = None,
    before: UUID | None = None,
    limit: int | None = 100,
) -> Sequence[Event]:
    """The newest events of an organisation, of one subject if given, older than the one named `before`."""
    own = Event.organisation_id == organisation_id
    query = select(Event).where(own)
    if subject is not None:
        query = query.where(Event.subject == subject)
    if before is not None:
        query = query.where(
            Event.id < select(Event.id).where(own, Event.guid == before).scalar_subquery()
        )
    return db.scalars(query.order_by(Event.id.desc()).limit(limit)).all()


def event_json(event: Event) -> dict[str, object]:
    """An event as organisations see it."""
    return {
        "id": str(event.guid),
        "at": iso_micros(event.at),
        "actor": event.actor,
        "action": event.action,
        "outcome": event.outcome,
        "subject": event.subject,
        "details": event.details,
        "request_id": event.request_id,
    }
