"""`Idempotency-Key`: a retried request gets the first answer again, and nothing is done twice.

The answer is a row of the same transaction as what it answers, so both are there or neither is. Only
success is kept: a request that was refused did nothing, and may be tried again.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from pyramid.response import Response
from sqlalchemy import delete, select

from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import Invalid, Unprocessable, setting
from hubrepo.kernel.db import insert_if_absent
from hubrepo.kernel.idempotency.models import FirstAnswer

__all__ = ["FirstAnswer", "answer_once"]

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class IdempotencySettings:
    """How long answers are kept."""

    keep_hours: int = setting(
        72, minimum=1, help="Hours within which a retry gets the first answer again."
    )


class KeyReused(Unprocessable):
    """The same key came with another request."""

    code = "idempotency-key-reused"
    message = "this Idempotency-Key was used for another request"


def answer_once(
    request: Any,
    organisation: OrganisationRef,
    content: object,
    status: int,
    act: Callable[[], object],
) -> Response:
    """The JSON answer of `act()`, or what the same request was answered before.

    `content` is what makes two requests the same, besides method and path. Raises KeyReused, Invalid.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return _json(orjson.dumps(act()), status)
    if not _KEY.fullmatch(key):
        raise Invalid("Idempotency-Key must be 1 to 255 visible ASCII characters")
    db, mine = request.db, (FirstAnswer.organisation_id == organisation.id, FirstAnswer.key == key)
    db.execute(
        delete(FirstAnswer).where(
            FirstAnswer.created_at < request.now - request.registry.answers_kept
        )
    )
    marks = orjson.dumps([request.method, request.path_info.rstrip("/"), content])
    fingerprint = hashlib.sha256(marks).hexdigest()
    fresh = insert_if_absent(
        db, FirstAnswer, organisation_id=organisation.id, key=key, fingerprint=fingerprint,
        created_at=request.now, status=status, body=b"",
    )  # fmt: skip
    first = db.scalars(select(FirstAnswer).where(*mine)).one()
    if not fresh:
        if first.fingerprint != fingerprint:
            raise KeyReused
        response = _json(first.body, first.status)
        response.headers["Idempotent-Replayed"] = "true"
        return response
    first.body = orjson.dumps(act())
    return _json(first.body, status)


def _json(body: bytes, status: int) -> Response:
    response = Response(body, status=status)
    response.headers["Content-Type"] = "application/json"
    return response


def includeme(config: Any) -> None:
    """Read how long answers are kept."""
    settings = config.add_section(IdempotencySettings, "hubrepo.idempotency")
    config.registry.answers_kept = timedelta(hours=settings.keep_hours)
