"""The rules of organisations, people and keys. Called by the command line and by HTTP alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.orm import Session

from hubrepo.kernel.accounts import errors, events
from hubrepo.kernel.accounts.keys import NewKey
from hubrepo.kernel.accounts.models import ApiKey, Membership, Organisation, User
from hubrepo.kernel.accounts.patterns import checked_patterns
from hubrepo.kernel.audit import AuditLog
from hubrepo.kernel.base import has_many_marks, is_one_line, is_slug, iso_seconds, nfc, shown

# There is no later moment.
NEVER = datetime.max.replace(tzinfo=UTC)

# What a key may be narrowed to. A key without scopes has all of them.
ADMIN = "admin"
SCOPES = ("read", "publish", ADMIN)
OWNER = "owner"


@dataclass(frozen=True)
class Limits:
    """An organisation's own limits; None: the hub's."""

    max_upload_size: int | None = None
    max_stored_bytes: int | None = None
    max_versions: int | None = None
    max_pages: int | None = None


class AccountService:
    """Changes organisations, people and keys, and tells the audit."""

    def __init__(self, db: Session, audit: AuditLog, now: datetime) -> None:
        self._db, self._audit, self._now = db, audit, now

    def organisations(self) -> Sequence[Organisation]:
        """All of them, by slug."""
        return self._db.scalars(select(Organisation).order_by(Organisation.slug)).all()

    def organisation(self, slug: str) -> Organisation:
        """The one of that slug. Raises NoSuchOrganisation."""
        found = self._db.scalar(select(Organisation).where(Organisation.slug == slug))
        if found is None:
            raise errors.NoSuchOrganisation(slug)
        return found

    def create_organisation(self, name: str, slug: str) -> Organisation:
        """A new tenant. Raises OrganisationExists, BadAccountData."""
        name = nfc(name.strip())
        if not is_slug(slug):
            raise errors.BadAccountData(
                f"{shown(slug)} is not a slug: 1 to 64 of a-z, 0-9 and inner dashes, and not a reserved word"
            )
        if not name or len(name) > 255 or not is_one_line(name):
            raise errors.BadAccountData("a display name is one line of 1 to 255 characters")
        taken = self._db.scalars(
            select(Organisation.slug).where(
                or_(Organisation.slug == slug, Organisation.name == name)
            )
        ).all()
        if slug in taken:
            raise errors.OrganisationExists(f"organisation with slug {slug!r} already exists")
        if taken:
            raise errors.OrganisationExists(f"organisation with name {name!r} already exists")
        organisation = Organisation(name=name, slug=slug, created_at=self._now)
        self._db.add(organisation)
        self._db.flush()
        self._audit.record(events.OrganisationCreated(slug, name), organisation.id)
        return organisation

    def set_limits(self, organisation: Organisation, limits: Limits) -> None:
        """Replace the organisation's own limits."""
        organisation.max_upload_size = limits.max_upload_size
        organisation.max_stored_bytes = limits.max_stored_bytes
        organisation.max_versions = limits.max_versions
        organisation.max_pages = limits.max_pages
        happened = events.LimitsSet(organisation.slug, **vars(limits))
        self._audit.record(happened, organisation.id)

    def user(self, username: str) -> User:
        """The user of that name. Raises NoSuchUser."""
        name = _spelled(username)
        found = self._db.scalar(select(User).where(User.username == name))
        if found is None:
            raise errors.NoSuchUser(username)
        return found

    def attach(
        self, organisation: Organisation, username: str, password: str | None, role: str = OWNER
    ) -> User:
        """Make a user a member; a new one gets `password`. Raises MemberElsewhere, BadAccountData."""
        username = nfc(username)
        if not username.strip() or len(username) > 150 or not is_one_line(username):
            raise errors.BadAccountData("a user name is one line of 1 to 150 characters")
        user = self._db.scalar(select(User).where(User.username == username))
        if user is None:
            hashed = PasswordHasher().hash(password) if password else None
            user = User(username=username, password_hash=hashed, created_at=self._now)
            self._db.add(user)
            self._db.flush()
        elif password:
            raise errors.BadAccountData(
                f"user {username!r} exists already: their password is not changed here"
            )
        membership = self._db.scalar(select(Membership).where(Membership.user_id == user.id))
        if membership is None:
            self._db.add(
                Membership(
                    organisation_id=organisation.id, user=user, role=role, created_at=self._now
                )
            )
            self._audit.record(events.MemberAdded(username, role), organisation.id)
        elif membership.organisation_id != organisation.id:
            raise errors.MemberElsewhere(username)
        return user

    def members(self, organisation: Organisation) -> Sequence[Membership]:
        """The members of an organisation, by user name."""
        return self._db.scalars(
            select(Membership)
            .join(User, User.id == Membership.user_id)
            .where(Membership.organisation_id == organisation.id)
            .order_by(User.username)
        ).all()

    def remove_member(self, organisation: Organisation, username: str) -> None:
        """End a membership: the user's keys stop at once.

        Raises NoSuchUser, also for a member of another organisation: there is nobody of that name here.
        """
        try:
            self._db.delete(self._membership(organisation, username))
        except errors.NotAMember:
            raise errors.NoSuchUser(username) from None
        self._audit.record(events.MemberRemoved(username), organisation.id)

    def set_active(self, username: str, *, active: bool) -> None:
        """Let a user act, or not: their keys stop at once. Raises NoSuchUser."""
        user = self.user(username)
        user.active = active
        membership = self._db.scalar(select(Membership).where(Membership.user_id == user.id))
        happened = events.UserActivated(username, active)
        self._audit.record(happened, membership.organisation_id if membership else None)

    def _membership(self, organisation: Organisation, username: str) -> Membership:
        """The membership of the user of that name. Raises NoSuchUser, NotAMember.

        Those who may not know which of the two it is must not learn it from the time it takes: both ask
        the same, and read no row of a stranger.
        """
        name = _spelled(username)
        found = self._db.scalar(
            select(Membership)
            .join(User, User.id == Membership.user_id)
            .where(Membership.organisation_id == organisation.id, User.username == name)
        )
        if found is None:
            if self._db.scalar(select(exists().where(User.username == name))):
                raise errors.NotAMember(name, organisation.slug)
            raise errors.NoSuchUser(username)
        return found

    def issue_key(
        self,
        organisation: Organisation,
        *,
        label: str,
        username: str | None = None,
        scopes: Iterable[str] = (),
        only: Iterable[str] = (),
        expires_at: datetime | None = None,
    ) -> NewKey:
        """A new key, in clear for the only time. Raises NoSuchUser, NotAMember, BadAccountData.

        One that is limited to names by patterns (`only`) is never an administrator's.
        """
        user = self._membership(organisation, username).user if username is not None else None
        if len(label) > 120 or not is_one_line(label):
            raise errors.BadAccountData("a label is one line of at most 120 characters")
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise errors.BadAccountData(
                f"{shown(unknown[0])} is not a scope: choose from {', '.join(SCOPES)}"
            )
        if expires_at is not None and expires_at <= self._now:
            raise errors.BadAccountData("a key cannot expire before it is made")
        patterns = checked_patterns(only)
        if patterns and ADMIN in set(scopes):
            raise errors.BadAccountData(
                "a key that is limited to names cannot have the scope 'admin'"
            )
        if patterns and not scopes:
            scopes = [each for each in SCOPES if each != ADMIN]
        key = ApiKey(
            organisation_id=organisation.id,
            user=user,
            label=label,
            scopes=" ".join(each for each in SCOPES if each in set(scopes)),
            only=patterns,
            expires_at=expires_at,
        )
        return self._add_key(key)

    def _add_key(self, key: ApiKey) -> NewKey:
        new = NewKey.make()
        key.prefix, key.digest, key.created_at = new.prefix, new.digest, self._now
        self._db.add(key)
        username = key.user.username if key.user is not None else None
        expiry = iso_seconds(key.expires_at) if key.expires_at else None
        issued = events.KeyIssued(new.prefix, key.label, username, key.scopes, key.only, expiry)
        self._audit.record(issued, key.organisation_id)
        return new

    def keys(self, organisation: Organisation) -> Sequence[ApiKey]:
        """All keys of an organisation, oldest first, revoked ones included."""
        return self._db.scalars(
            select(ApiKey).where(ApiKey.organisation_id == organisation.id).order_by(ApiKey.id)
        ).all()

    def rotate_key(self, key: ApiKey, overlap: timedelta) -> tuple[NewKey, datetime]:
        """A new key that may do what `key` may, and when that one ends: in `overlap`, if not sooner.

        If `key` was to expire, the new one lives as long from now as it from the day it was made.
        Raises KeyIsOver.
        """
        # Of two that rotate it at one moment, the second finds it rotated.
        self._db.execute(select(ApiKey.id).where(ApiKey.id == key.id).with_for_update())
        self._db.refresh(key)
        if key.successor is not None:
            raise errors.KeyIsOver(f"kpf_{key.successor} has taken the place of {key.hint}")
        if key.revoked_at is not None or (key.expires_at and key.expires_at <= self._now):
            raise errors.KeyIsOver(f"{key.hint} is not good any more")
        new = self._add_key(
            ApiKey(
                organisation_id=key.organisation_id,
                user=key.user,
                label=key.label,
                scopes=key.scopes,
                only=key.only,
                expires_at=self._as_long(key),
            )
        )
        ending = min(self._now + overlap, key.expires_at or NEVER)
        key.expires_at, key.successor = ending, new.prefix
        rotated = events.KeyRotated(key.prefix, new.prefix, iso_seconds(ending))
        self._audit.record(rotated, key.organisation_id)
        return new, ending

    def _as_long(self, key: ApiKey) -> datetime | None:
        """When a key that begins now ends, if it lives as long as `key`."""
        if key.expires_at is None:
            return None
        return self._now + min(key.expires_at - key.created_at, NEVER - self._now)

    def revoke_key(self, prefix: str, organisation: Organisation | None = None) -> ApiKey:
        """Make a key useless, at once and in every process; doing it again changes nothing.

        `prefix` is as for `key`. Raises NoSuchKey.
        """
        key = self.key(prefix, organisation)
        if key.revoked_at is None:
            key.revoked_at = self._now
            self._audit.record(events.KeyRevoked(key.prefix), key.organisation_id)
        return key

    def key(self, prefix: str, organisation: Organisation | None = None) -> ApiKey:
        """The key of that prefix, which may be written with or without `kpf_`, or be the whole key.

        Raises NoSuchKey, also for a key of another organisation than the one given.
        """
        digits = prefix.removeprefix("kpf_").partition("_")[0]
        query = select(ApiKey).where(ApiKey.prefix == (digits if is_one_line(digits) else ""))
        if organisation is not None:
            query = query.where(ApiKey.organisation_id == organisation.id)
        key = self._db.scalar(query)
        if key is None:
            raise errors.NoSuchKey(digits[:8])
        return key

    def has_organisations(self) -> bool:
        """Whether this hub has been used before."""
        return bool(self._db.scalar(select(func.count()).select_from(Organisation)))


def _spelled(username: str) -> str:
    """The name as it is kept; for what can be none the empty one, which nobody has."""
    can_be = is_one_line(username) and not has_many_marks(username)
    return nfc(username) if can_be else ""


def count_bytes(db: Session, organisation_id: int, size: int) -> tuple[int, int | None]:
    """Count `size` more bytes (fewer, if negative) as kept by an organisation.

    How many it keeps now, and its own limit. Holds the organisation's row until the transaction ends.
    """
    row = db.execute(
        update(Organisation)
        .where(Organisation.id == organisation_id)
        .values(stored_bytes=Organisation.stored_bytes + size)
        .returning(Organisation.stored_bytes, Organisation.max_stored_bytes)
    ).one()
    return row.stored_bytes, row.max_stored_bytes


def reserve_bytes(db: Session, organisation_id: int, size: int, hub_limit: int) -> None:
    """Count `size` more bytes, if the organisation may keep them.

    `hub_limit` counts where the organisation has no limit of its own; 0 is none. Raises
    QuotaExceeded.
    """
    stored, own_limit = count_bytes(db, organisation_id, size)
    _check_bytes(stored, own_limit, hub_limit)


def check_bytes(db: Session, organisation_id: int, size: int, hub_limit: int) -> None:
    """Look whether there is room for `size` more bytes now, and hold nothing. Raises QuotaExceeded."""
    query = select(Organisation.stored_bytes, Organisation.max_stored_bytes)
    row = db.execute(query.where(Organisation.id == organisation_id)).one()
    _check_bytes(row.stored_bytes + size, row.max_stored_bytes, hub_limit)


def _check_bytes(stored: int, own_limit: int | None, hub_limit: int) -> None:
    limit = own_limit if own_limit is not None else hub_limit
    if limit and stored > limit:
        raise errors.QuotaExceeded(
            f"the organisation may keep {limit} bytes (hubrepo.quotas.max_stored_bytes); "
            f"this would make it {stored}"
        )
