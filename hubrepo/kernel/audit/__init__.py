"""Who did what, when, in which organisation: append-only, refusals included."""

from hubrepo.kernel.audit.log import Actor, AuditLog, Happening, Refusal, event_json, events_of
from hubrepo.kernel.audit.models import Event

__all__ = ["Actor", "AuditLog", "Event", "Happening", "Refusal", "event_json", "events_of"]
