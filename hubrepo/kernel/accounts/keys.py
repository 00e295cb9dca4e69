"""API keys: `kpf_<8 hex digits>_<43 characters><6 characters>`, 256 random bits behind a public prefix.

The secret is random, not chosen by a person, so one SHA-256 keeps it: a check costs microseconds. The
last six characters are a checksum of all before, by which a scanner knows a leaked key without asking
anybody. Keys that were issued before there was one end without it, and stay good.
"""

import hashlib
import hmac
import re
import string
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, bindparam, cast, select

from hubrepo.kernel.accounts.models import ApiKey, Membership, Organisation, User
from hubrepo.kernel.base import random_hex, random_text
from hubrepo.kernel.db import Rows

_KEY = re.compile(r"(kpf_([0-9a-f]{8})_[A-Za-z0-9_-]{43})([0-9A-Za-z]{6})?")
_IN_TEXT = re.compile(rf"(?<![A-Za-z0-9_-]){_KEY.pattern}(?![A-Za-z0-9_-])")
_NO_DIGEST = "0" * 64
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


@dataclass(frozen=True)
class NewKey:
    """A key in clear, as it is shown once."""

    prefix: str
    plain: str

    @classmethod
    def make(cls) -> "NewKey":
        """A fresh one."""
        prefix = random_hex(32)
        body = f"kpf_{prefix}_{random_text(256)}"
        return cls(prefix, body + checksum_of(body))

    @property
    def digest(self) -> str:
        """What is kept of it."""
        return digest_of(self.plain)


@dataclass(frozen=True)
class OrganisationRef:
    """An organisation, detached from any session: the tenant that a request acts in.

    `guid` is 32 hex digits.
    """

    id: int
    guid: str
    slug: str
    max_upload_size: int | None


@dataclass(frozen=True)
class KeyHolder:
    """For whom a key acts. `scopes` and `only` are as in ApiKey."""

    organisation: OrganisationRef
    key_id: int
    prefix: str
    scopes: str
    only: str | None
    last_used_at: datetime | None
    username: str | None


@dataclass(frozen=True)
class KeyRefused:
    """A key that is not good.

    `prefix` is what it says of itself, None if it is malformed; `organisation_id` is whose that prefix
    is, None if nobody's.
    """

    prefix: str | None = None
    organisation_id: int | None = None


def checksum_of(body: str) -> str:
    """Six characters: the CRC-32 of a key without its last six, in base 62 (`0-9A-Za-z`)."""
    number, digits = zlib.crc32(body.encode("ascii")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits


def prefix_of(plain: str) -> str | None:
    """The prefix of what has the form of a key, of today or before; None for what is none."""
    match = _KEY.fullmatch(plain)
    if match is None or (match[3] is not None and match[3] != checksum_of(match[1])):
        return None
    return match[2]


def keys_in(text: str) -> Iterator[str]:
    """What in `text` has the form of a key. Whether a key is good, only its hub knows."""
    for match in _IN_TEXT.finditer(text):
        if prefix_of(match[0]) is not None:
            yield match[0]


def digest_of(plain: str) -> str:
    """Hex SHA-256 of the key in clear."""
    return hashlib.sha256(plain.encode("utf-8", "surrogateescape")).hexdigest()


# Columns, not objects, and put together once: this runs on every request.
_LOOK_UP = (
    select(
        ApiKey.id,
        ApiKey.digest,
        ApiKey.scopes,
        ApiKey.only,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        ApiKey.last_used_at,
        ApiKey.user_id,
        Organisation.id,
        cast(Organisation.guid, String),
        Organisation.slug,
        Organisation.max_upload_size,
        User.username,
        User.active,
        Membership.id,
    )
    .join(Organisation, Organisation.id == ApiKey.organisation_id)
    .outerjoin(User, User.id == ApiKey.user_id)
    .outerjoin(
        Membership,
        (Membership.user_id == ApiKey.user_id)
        & (Membership.organisation_id == ApiKey.organisation_id),
    )
    .where(ApiKey.prefix == bindparam("prefix"))
)


def verify_key(rows: Rows, plain: str, now: datetime) -> KeyHolder | KeyRefused:
    """For whom `plain` acts, at `now`: unknown, wrong, revoked and expired keys are refused alike.

    A user's key is good only while the user is active and a member of the key's organisation.
    """
    prefix = prefix_of(plain)
    row = rows.first(_LOOK_UP, {"prefix": prefix}) if prefix else None
    right = hmac.compare_digest(row[1] if row else _NO_DIGEST, digest_of(plain))
    if row is None or prefix is None:
        return KeyRefused(prefix)
    (key_id, _, scopes, only, expires_at, revoked_at, last_used_at, user_id, *rest) = row
    (organisation_id, guid, slug, max_upload_size, username, active, membership_id) = rest
    lapsed = revoked_at is not None or (expires_at is not None and expires_at <= now)
    orphaned = user_id is not None and not (active and membership_id is not None)
    if not right or lapsed or orphaned:
        return KeyRefused(prefix, organisation_id)
    organisation = OrganisationRef(organisation_id, guid.replace("-", ""), slug, max_upload_size)
    return KeyHolder(organisation, key_id, prefix, scopes, only, last_used_at, username)
