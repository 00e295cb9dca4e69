"""Who did what, when, in which organisation: append-only, refusals included."""

from hubrepo.kernel.audit.log import Actor, AuditLog, Happening, Refusal, events_of
from hubrepo.kernel.audit.models import Event

__all__ = ["Actor", "AuditLog", "Event", "Happening", "Refusal", "events_of"]
