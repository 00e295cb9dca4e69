"""Tokens: 48 hex digits of 192 random bits, of which only the SHA-256 is kept, and is their public name.

A digest has 64 digits, so neither is taken for the other.
"""

import hashlib
import re
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import String, bindparam, cast, select

from hubrepo.features.artifacts.models import Token
from hubrepo.kernel.accounts import Organisation, OrganisationRef
from hubrepo.kernel.base import random_hex
from hubrepo.kernel.db import Rows

BITS = 192

# What may not be shown: alone, so that parts of longer numbers are none. What is escaped, as in a URL or in a
# text that is quoted, is no part of it.
SECRET = (
    r"(?:(?<![0-9A-Za-z])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrtbf])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9A-Fa-f]{4})"
    rf"|(?<=\\U[0-9a-f]{{8}}))[0-9a-f]{{{BITS // 4}}}(?![0-9A-Za-z])"
)
# What stands where a URL names a token, whatever it looks like: it may be one, mistyped. Such a URL is all
# of a text, or follows a method; in a log it ends with the quotes around it. A prefix may stand before it, and
# a host.
SEGMENT = (
    r"((?:^|[A-Z] )(?:https?://[^/ ]*)?/+"
    r"(?:(?!product/|pages/)[^/ ]+/+)?(?:api/+)?(?:fetch|prune)(?:/|%2[fF])+)"
    r".+?(?=\\?\" \d|\n|$)"
)
_DIGEST = re.compile("[0-9a-f]{64}")


def new_token() -> str:
    """A raw token, as it is shown once."""
    return random_hex(BITS)


def digest_of(raw: str) -> str:
    """The hex SHA-256 of a raw token."""
    return hashlib.sha256(raw.encode("utf-8", "surrogateescape")).hexdigest()


def is_digest(text: str) -> bool:
    """Whether that names a token by its digest."""
    return _DIGEST.fullmatch(text) is not None


def digest_named(text: str) -> str:
    """The digest of the token that somebody names, by its digest or by itself."""
    return text if is_digest(text) else digest_of(text)


class TokenHolder(NamedTuple):
    """For whom a token acts."""

    token_id: int
    digest: str
    is_admin: bool
    last_used_at: datetime | None
    organisation: OrganisationRef


# Columns, not objects, and put together once: this runs on every request.
_LOOK_UP = (
    select(
        Token.id,
        Token.admin,
        Token.last_used_at,
        Organisation.id,
        cast(Organisation.guid, String),
        Organisation.slug,
        Organisation.max_upload_size,
    )
    .join(Organisation, Organisation.id == Token.organisation_id)
    .where(Token.digest == bindparam("digest"))
)


def holder_of(rows: Rows, raw: str) -> TokenHolder | None:
    """For whom a raw token acts; None: it is not good."""
    digest = digest_of(raw)
    row = rows.first(_LOOK_UP, {"digest": digest})
    if row is None:
        return None
    token_id, is_admin, last_used_at, organisation_id, guid, slug, max_upload_size = row
    organisation = OrganisationRef(organisation_id, guid.replace("-", ""), slug, max_upload_size)
    return TokenHolder(token_id, digest, is_admin, last_used_at, organisation)
