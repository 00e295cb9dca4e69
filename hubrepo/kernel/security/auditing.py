"""The audit of a request: what it did, and what it was refused."""

import logging
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from hubrepo.kernel.audit import Actor, AuditLog, Refusal
from hubrepo.kernel.security.errors import KeyNotAccepted
from hubrepo.kernel.web import RequestRefused

log = logging.getLogger(__name__)


def audit_of(request: Any) -> AuditLog:
    """The log as this request's caller writes it, in the request's transaction."""
    return AuditLog(request.db, _actor(request), request.now, request.id)


def note_refusal(event: RequestRefused) -> None:
    """Remember what was refused: attempts to change something, and bad keys whose prefix is known.

    What has no organisation (an unknown key, no key at all) goes to the log file only: a stranger
    shall not fill the database.
    """
    request, error = event.request, event.error
    if isinstance(error, KeyNotAccepted):
        log.warning("refused key kpf_%s from %s", error.prefix or "…", request.remote_addr)
        if error.organisation_id is not None:
            _note_bad_key(request, error, error.organisation_id)
    elif not request.is_safe and request.environ.get("hubrepo.actor"):
        action = request.registry.methods.permission(request) or request.method
        # A URL that cannot be walked has no context.
        subject = getattr(getattr(request, "context", None), "subject", None) or request.path_info
        _note_attempt(request, Refusal.of(action, subject, error, request.path_info))


def _note_bad_key(request: Any, error: KeyNotAccepted, organisation_id: int) -> None:
    """Write later: the answer must take as long for a prefix that is known as for one that is not."""
    actor = Actor(f"refused key:kpf_{error.prefix}", organisation_id)
    refusal = Refusal.of("authenticate", request.path_info, error)
    moment, request_id = request.now, request.id
    request.registry.afterwards.write(
        str(refusal), lambda db: AuditLog(db, actor, moment, request_id).refuse(refusal)
    )


def _note_attempt(request: Any, refusal: Refusal) -> None:
    """Write in a session of its own, once the request's has given up the right to write."""
    actor = _actor(request)

    def write(request: Any) -> None:
        try:
            with request.registry.database.write() as db:
                AuditLog(db, actor, request.now, request.id).refuse(refusal)
        except SQLAlchemyError:
            log.exception("could not note a refusal: %s", refusal)

    request.add_finished_callback(write)


def _actor(request: Any) -> Actor:
    return Actor(request.caller.actor, request.caller.organisation.id)
