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
    """Remember what was refused, in a session of its own once the request has ended.

    Attempts to change something, and bad keys whose prefix is known. What has no organisation (an
    unknown key, no key at all) goes to the log file only: a stranger shall not fill the database.
    """
    request, error = event.request, event.error
    if isinstance(error, KeyNotAccepted):
        log.warning("refused key kpf_%s from %s", error.prefix or "…", request.remote_addr)
        if error.organisation_id is not None:
            actor = Actor(f"refused key:kpf_{error.prefix}", error.organisation_id)
            _write_later(request, actor, Refusal.of("authenticate", request.path, error))
    elif not request.is_safe and request.environ.get("hubrepo.actor"):
        action = request.registry.methods.permission(request) or request.method
        _write_later(request, _actor(request), Refusal.of(action, request.path_info, error))


def _actor(request: Any) -> Actor:
    identity = request.identity
    return Actor(identity.actor, identity.organisation.id)


def _write_later(request: Any, actor: Actor, refusal: Refusal) -> None:
    def write(request: Any) -> None:
        try:
            with request.registry.database.write() as db:
                AuditLog(db, actor, request.now, request.id).refuse(refusal)
        except SQLAlchemyError:
            log.exception("could not note a refusal: %s", refusal)

    request.add_finished_callback(write)
