"""The rules of organisations, people and keys. Called by the command line and by HTTP alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from argon2 import PasswordHasher
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from hubrepo.kernel.accounts import errors, events
from hubrepo.kernel.accounts.keys import NewKey
from hubrepo.kernel.accounts.models import ApiKey, Membership, Organisation, User
from hubrepo.kernel.audit import AuditLog
from hubrepo.kernel.base import is_one_line, is_slug, iso_seconds, nfc

# What a key may be narrowed to. A key without scopes has all of them.
SCOPES = ("read", "publish", "admin")
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
                f"{slug!r} is not a slug: 1 to 64 of a-z, 0-9 and inner dashes, and not a reserved word"
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
        name = nfc(username) if is_one_line(username) else ""
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
            self._db.delete(self._membership(organisation, self.user(username)))
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

    def _membership(self, organisation: Organisation, user: User) -> Membership:
        found = self._db.scalar(
            select(Membership).where(
                Membership.user_id == user.id, Membership.organisation_id == organisation.id
            )
        )
        if found is None:
            raise errors.NotAMember(user.username, organisation.slug)
        return found

    def issue_key(
        self,
        organisation: Organisation,
        *,
        label: str,
        username: str | None = None,
        scopes: Iterable[str] = (),
        expires_at: datetime | None = None,
    ) -> NewKey:
        """A new key, in clear for the only time. Raises NoSuchUser, NotAMember, BadAccountData."""
        user = self.user(username) if username is not None else None
        if user is not None:
            self._membership(organisation, user)
        if len(label) > 120 or not is_one_line(label):
            raise errors.BadAccountData("a label is one line of at most 120 characters")
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise errors.BadAccountData(
                f"{unknown[0]!r} is not a scope: choose from {', '.join(SCOPES)}"
            )
        if expires_at is not None and expires_at <= self._now:
            raise errors.BadAccountData("a key cannot expire before it is made")
        new = NewKey.make()
        chosen = " ".join(each for each in SCOPES if each in set(scopes))
        self._db.add(
            ApiKey(
                organisation_id=organisation.id,
                user=user,
                label=label,
                prefix=new.prefix,
                digest=new.digest,
                scopes=chosen,
                created_at=self._now,
                expires_at=expires_at,
            )
        )
        expiry = iso_seconds(expires_at) if expires_at else None
        self._audit.record(
            events.KeyIssued(new.prefix, label, username, chosen, expiry), organisation.id
        )
        return new

    def keys(self, organisation: Organisation) -> Sequence[ApiKey]:
        """All keys of an organisation, oldest first, revoked ones included."""
        return self._db.scalars(
            select(ApiKey).where(ApiKey.organisation_id == organisation.id).order_by(ApiKey.id)
        ).all()

    def revoke_key(self, prefix: str, organisation: Organisation | None = None) -> ApiKey:
        """Make a key useless, at once and in every process; doing it again changes nothing.

        `prefix` may be written with or without `kpf_`, or be the whole key. Raises NoSuchKey, also
        for a key of another organisation than the one given.
        """
        digits = prefix.removeprefix("kpf_").partition("_")[0]
        query = select(ApiKey).where(ApiKey.prefix == (digits if is_one_line(digits) else ""))
        if organisation is not None:
            query = query.where(ApiKey.organisation_id == organisation.id)
        key = self._db.scalar(query)
        if key is None:
            raise errors.NoSuchKey(digits[:8])
        if key.revoked_at is None:
            key.revoked_at = self._now
            self._audit.record(events.KeyRevoked(key.prefix), key.organisation_id)
        return key

    def has_organisations(self) -> bool:
        """Whether this hub has been used before."""
        return bool(self._db.scalar(select(func.count()).select_from(Organisation)))


def touch_key(db: Session, key_id: int, now: datetime) -> None:
    """Note that a key was used."""
    db.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now))


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
    limit = own_limit if own_limit is not None else hub_limit
    if limit and stored > limit:
        raise errors.QuotaExceeded(
            f"the organisation may keep {limit} bytes (hubrepo.quotas.max_stored_bytes); "
            f"this would make it {stored}"
        )
