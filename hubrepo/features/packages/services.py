"""The rules of packages: who gets which number, what a publish writes, what a tombstone leaves."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.orm import Session

from hubrepo.features.packages import errors, events
from hubrepo.features.packages.catalogue import Catalogue, VersionFacts, entry_of
from hubrepo.features.packages.drafts import Draft
from hubrepo.features.packages.history import Chapter, Entry, render, render_entry
from hubrepo.features.packages.manifest import InvalidManifest
from hubrepo.features.packages.models import LATEST, Alias, Package, Version
from hubrepo.features.packages.schemas import PublishWish, checked_name, name_in_url
from hubrepo.kernel.accounts import Organisation, OrganisationRef, QuotaExceeded
from hubrepo.kernel.audit import AuditLog
from hubrepo.kernel.base import content_hash
from hubrepo.kernel.blobs import BlobService
from hubrepo.kernel.db import Rows, insert_if_absent

CASCADE_REASON = "package tombstoned"

# A version's block in the history changes only by a tombstone, which makes it another entry. Long
# ones are rendered each time, so that what is remembered stays within some 16 MiB.
MOST_REMEMBERED = 2048
_remembered = lru_cache(maxsize=4096)(render_entry)


def entry_text(entry: Entry) -> str:
    """The block of a version in the history."""
    return (_remembered if len(entry.description) <= MOST_REMEMBERED else render_entry)(entry)


class PackageService:
    """Changes the packages of one organisation, and tells the audit.

    `caller` is who is seen as the publisher; `username` is the person behind the credential, if any;
    `reaches` tells whether the credential has to do with the package of a name.
    """

    def __init__(
        self,
        db: Session,
        organisation: OrganisationRef,
        blobs: BlobService,
        audit: AuditLog,
        now: datetime,
        *,
        caller: str,
        reaches: Callable[[str], bool],
        username: str | None = None,
        max_versions: int = 0,
    ) -> None:
        self._db, self._organisation, self._blobs, self._audit = db, organisation, blobs, audit
        self._now, self._caller, self._username = now, caller, username
        self._reaches, self._max_versions = reaches, max_versions
        self._catalogue = Catalogue(Rows(db.connection()), organisation)

    def register(self, name: str) -> Package:
        """A new, empty package. Raises PackageExists."""
        if not self._insert(name):
            raise errors.PackageExists(name)
        self._audit.record(events.PackageRegistered(name))
        return self._package(name)

    def _package(self, name: str) -> Package:
        """The package, which no other transaction changes until this one ends. Raises PackageNotFound."""
        query = Package.named(self._organisation, name).with_for_update(key_share=True)
        found = self._db.scalar(query)
        if found is None:
            raise errors.PackageNotFound
        return found

    def _version(self, package: Package, number: int) -> Version | None:
        own = Version.organisation_id == self._organisation.id
        return self._db.scalar(
            select(Version).where(own, Version.package_id == package.id, Version.number == number)
        )

    def _alias(self, package: Package, name: str) -> Alias | None:
        return self._db.scalar(select(Alias).where(self._aliases_of(package), Alias.name == name))

    def _aliases_of(self, package: Package) -> ColumnElement[bool]:
        return and_(Alias.organisation_id == self._organisation.id, Alias.package_id == package.id)

    def _insert(self, name: str) -> bool:
        return insert_if_absent(
            self._db,
            Package,
            organisation_id=self._organisation.id,
            name=name,
            created_at=self._now,
            head=0,
        )

    def publish(self, name: str, draft: Draft, wish: PublishWish) -> Version:
        """The next version of a package, which is made if need be.

        Raises BadPackageName, NameMismatch, InvalidPackage, HeadMoved, NotAFork, QuotaExceeded.
        """
        try:
            author = draft.manifest.author_or(wish.author, self._username)
        except InvalidManifest as error:
            raise errors.InvalidPackage(error) from None
        if name_in_url(draft.manifest.name) != name:
            raise errors.NameMismatch(draft.manifest.name, name)
        fresh = self._insert(checked_name(name))
        package = self._package(name)
        if wish.parent_version is not None and wish.parent_version != package.head:
            raise errors.HeadMoved(package.head)
        version = Version(
            organisation_id=self._organisation.id,
            package_id=package.id,
            number=package.head + 1,
            author=author,
            summary=wish.summary,
            description=wish.description,
            published_at=self._now,
            published_by=self._caller,
            tombstone_reason="",
        )
        self._set_origin(version, package, draft, wish, fresh=fresh)
        self._store(version, package, draft)
        # Behind the blob: whoever sweeps blobs locks the two in this order.
        self._check_quota()
        package.head, package.archived_at = version.number, None
        self._db.flush()
        self._point(package, LATEST, version.number)
        self._record_publish(package, version)
        return version

    def _check_quota(self) -> None:
        own = select(Organisation.max_versions).where(Organisation.id == self._organisation.id)
        own_limit = self._db.scalar(own)
        limit = own_limit if own_limit is not None else self._max_versions
        if not limit:
            return
        # Only where there is a limit does a publish wait for others of the organisation.
        self._db.execute(own.with_for_update(key_share=True))
        if self._published() >= limit:
            raise QuotaExceeded(
                f"the organisation may publish {limit} versions (hubrepo.quotas.max_versions)"
            )

    def _published(self) -> int:
        own = Package.organisation_id == self._organisation.id
        return self._db.scalar(select(func.coalesce(func.sum(Package.head), 0)).where(own)) or 0

    def _set_origin(
        self, version: Version, package: Package, draft: Draft, wish: PublishWish, *, fresh: bool
    ) -> None:
        """Remember what the first version of a new package was made from.

        Declared, it must be there; claimed by an embedded history, it counts if it is there and no
        hash speaks against it.
        """
        if wish.forked_from is not None:
            if not fresh:
                raise errors.NotAFork("`forked_from` is for the first version of a new package")
            if self._ancestor(package, *wish.forked_from) is None:
                raise errors.NotAFork("`forked_from` names no version of another package")
            version.forked_package, version.forked_version = wish.forked_from
        elif fresh and (claim := draft.claim) is not None:
            ancestor = self._ancestor(package, claim.package, claim.version)
            agrees = ancestor and claim.agrees_with(content_hash(ancestor.digest))
            if ancestor is not None and agrees is not False:
                version.forked_package, version.forked_version = claim.package, claim.version
                version.fork_verified = agrees is True

    def _ancestor(self, package: Package, name: str, number: int) -> VersionFacts | None:
        """Another package's version; None also for one that the credential does not reach."""
        if name == package.name or name_in_url(name) is None or not self._reaches(name):
            return None
        try:
            return self._catalogue.version(name, number)
        except errors.VersionNotFound:
            return None

    def _store(self, version: Version, package: Package, draft: Draft) -> None:
        """Finish the archive with the history as of this version, and keep it."""
        own, *ancestors = self._catalogue.chapters(package.name)
        entry = entry_of(version, hashed=False)
        chapters = [Chapter(own.package, [entry, *own.entries]), *ancestors]
        if entry.forked_from is not None:
            chapters += self._catalogue.ancestry(*entry.forked_from, shown={package.name})
        try:
            stage = draft.finish(version.number, render(chapters, entry_text), self._now)
        except InvalidManifest as error:
            raise errors.InvalidPackage(error) from None
        blob = self._blobs.put(stage)
        version.blob_id, version.digest, version.size = blob.id, blob.digest, blob.size
        self._db.add(version)

    def _record_publish(self, package: Package, version: Version) -> None:
        forked = (
            f"{version.forked_package}@{version.forked_version}" if version.forked_package else None
        )
        self._audit.record(
            events.VersionPublished(
                package.name,
                version.number,
                version.author,
                content_hash(version.digest),
                version.size,
                forked,
            )
        )

    def version_to_tombstone(self, name: str, number: int) -> tuple[Package, Version]:
        """A live version, its package locked. Raises VersionNotFound, AlreadyTombstoned."""
        try:
            package = self._package(name)
        except errors.PackageNotFound:
            raise errors.VersionNotFound from None
        version = self._version(package, number)
        if version is None:
            raise errors.VersionNotFound
        if version.tombstoned_at is not None:
            raise errors.AlreadyTombstoned
        return package, version

    def tombstone(self, package: Package, version: Version, reason: str) -> None:
        """Remove the bytes of a version and the aliases to it; `latest` moves down."""
        removed = self._db.scalars(
            delete(Alias)
            .where(self._aliases_of(package), Alias.number == version.number)
            .returning(Alias.name)
        ).all()
        version.tombstoned_at, version.tombstone_reason = self._now, reason
        self._release([version.blob_id])
        version.blob_id = None
        self._db.flush()
        if LATEST in removed:
            self._lower_latest(package)
        names = sorted(set(removed) - {LATEST})
        self._audit.record(events.VersionRemoved(package.name, version.number, reason, names))

    def _release(self, blob_ids: list[int | None]) -> None:
        if kept := [each for each in blob_ids if each is not None]:
            self._blobs.release(*kept)

    def _lower_latest(self, package: Package) -> None:
        newest = self._db.scalar(
            select(func.max(Version.number)).where(
                Version.organisation_id == self._organisation.id,
                Version.package_id == package.id,
                Version.tombstoned_at.is_(None),
            )
        )
        if newest is not None:
            self._point(package, LATEST, newest)

    def delete(self, name: str, read_reason: Callable[[], str]) -> None:
        """Tombstone every live version, remove every alias; the name stays. Raises PackageNotFound."""
        package = self._package(name)
        reason = read_reason() or CASCADE_REASON
        live = (
            Version.organisation_id == self._organisation.id,
            Version.package_id == package.id,
            Version.tombstoned_at.is_(None),
        )
        rows = self._db.execute(
            select(Version.number, Version.blob_id).where(*live).order_by(Version.number)
        ).all()
        self._db.execute(delete(Alias).where(self._aliases_of(package)))
        self._db.execute(
            update(Version)
            .where(*live)
            .values(tombstoned_at=self._now, tombstone_reason=reason, blob_id=None)
        )
        self._release([row.blob_id for row in rows])
        package.archived_at = self._now
        self._audit.record(events.PackageDeleted(name, reason, [row.number for row in rows]))

    def set_alias(self, package_name: str, alias: str, number: int) -> Alias:
        """Point an alias to a live version. Raises AliasTargetNotFound, AliasTargetTombstoned."""
        package = self._package(package_name)
        version = self._version(package, number) if 0 < number <= package.head else None
        if version is None:
            raise errors.AliasTargetNotFound(number)
        if version.tombstoned_at is not None:
            raise errors.AliasTargetTombstoned(number)
        moved, previous = self._point(package, alias, number)
        self._audit.record(events.AliasMoved(package_name, alias, number, previous))
        return moved

    def remove_alias(self, package_name: str, alias: str) -> None:
        """Raises PackageNotFound, AliasNotFound."""
        found = self._alias(self._package(package_name), alias)
        if found is None:
            raise errors.AliasNotFound(alias)
        self._db.delete(found)
        self._audit.record(events.AliasRemoved(package_name, alias, found.number))

    def _point(self, package: Package, alias: str, number: int) -> tuple[Alias, int | None]:
        """The alias, pointing to `number`, and where it pointed before."""
        found = self._alias(package, alias)
        previous = None if found is None else found.number
        if found is None:
            found = Alias(organisation_id=self._organisation.id, package_id=package.id, name=alias)
            self._db.add(found)
        found.number, found.updated_at = number, self._now
        return found, previous
