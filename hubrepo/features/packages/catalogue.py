"""Reading packages: every query begins at an organisation, and their number does not grow with rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.orm import Session, aliased

from hubrepo.features.packages import errors
from hubrepo.features.packages.history import Chapter, Entry
from hubrepo.features.packages.models import LATEST, Alias, Package, Version
from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import Page, content_hash


@dataclass(frozen=True)
class Listed:
    """A package in the listing: `latest` is the highest version, `live` the one `latest` points to."""

    package: Package
    latest: Version | None
    live: Version | None


class Catalogue:
    """The packages of one organisation."""

    def __init__(self, db: Session, organisation: OrganisationRef) -> None:
        self._db, self._organisation = db, organisation

    def package(self, name: str, *, lock: bool = False) -> Package:
        """Raises PackageNotFound. With `lock`, no other transaction changes it until this one ends."""
        query = Package.named(self._organisation, name)
        found = self._db.scalar(query.with_for_update() if lock else query)
        if found is None:
            raise errors.PackageNotFound
        return found

    def packages(self, page: Page) -> Sequence[Listed]:
        """Packages by name, each with its highest and its newest live version."""
        head, live, latest = aliased(Version), aliased(Version), aliased(Alias)
        query = (
            select(Package, head, live)
            .outerjoin(
                head,
                (head.package_id == Package.id) & (head.number == Package.head) & self._own(head),
            )
            .outerjoin(
                latest,
                (latest.package_id == Package.id) & (latest.name == LATEST) & self._own(latest),
            )
            .outerjoin(
                live,
                (live.package_id == Package.id) & (live.number == latest.number) & self._own(live),
            )
            .where(self._own(Package))
            .order_by(Package.name)
            .limit(page.fetch)
        )
        if page.after is not None:
            query = query.where(Package.name > page.after)
        return [Listed(*row) for row in self._db.execute(query)]

    def _own(self, model: type[Package | Version | Alias]) -> ColumnElement[bool]:
        return model.organisation_id == self._organisation.id

    def versions(self, package: Package, page: Page | None = None) -> Sequence[Version]:
        """The versions of a package, newest first, tombstoned ones included."""
        page = page or Page()
        query = (
            select(Version)
            .where(self._own(Version), Version.package_id == package.id)
            .order_by(Version.number.desc())
            .limit(page.fetch)
        )
        if (below := page.after_number()) is not None:
            query = query.where(Version.number < below)
        return self._db.scalars(query).all()

    def find_version(self, package: Package, number: int) -> Version | None:
        """The version of that number, if there is one."""
        return self._db.scalar(
            select(Version).where(
                self._own(Version), Version.package_id == package.id, Version.number == number
            )
        )

    def version(self, name: str, number: int) -> Version:
        """Raises VersionNotFound, also for an unknown package."""
        found = self._db.scalar(
            select(Version)
            .join(Package, Package.id == Version.package_id)
            .where(
                self._own(Version),
                self._own(Package),
                Package.name == name,
                Version.number == number,
            )
        )
        if found is None:
            raise errors.VersionNotFound
        return found

    def aliases(self, package: Package) -> Sequence[Alias]:
        """The aliases of a package, by name."""
        return self._db.scalars(
            select(Alias)
            .where(self._own(Alias), Alias.package_id == package.id)
            .order_by(Alias.name)
        ).all()

    def find_alias(self, package: Package, name: str) -> Alias | None:
        """The alias of that name, if there is one."""
        return self._db.scalar(
            select(Alias).where(
                self._own(Alias), Alias.package_id == package.id, Alias.name == name
            )
        )

    def alias(self, package: Package, name: str) -> Alias:
        """Raises AliasNotFound."""
        found = self.find_alias(package, name)
        if found is None:
            raise errors.AliasNotFound(name)
        return found

    def latest(self, package: Package) -> Version:
        """The newest live version. Raises NothingPublished."""
        alias = self.find_alias(package, LATEST)
        version = self.find_version(package, alias.number) if alias is not None else None
        if version is None:
            raise errors.NothingPublished
        return version

    def chapters(self, package: Package, up_to: int | None = None) -> list[Chapter]:
        """The history of a package, up to a version, and of those that it was forked from."""
        own = Chapter(package.name, self._entries(package.id, up_to), None)
        origin = _origin(own)
        return [own, *(self.ancestry(*origin, shown={package.name}) if origin else ())]

    def ancestry(self, name: str, number: int, shown: set[str]) -> list[Chapter]:
        """The history of `name` up to `number`, and on to what that was forked from.

        Stops at a package that is in `shown`, or was told already.
        """
        chapters: list[Chapter] = []
        origin: tuple[str, int] | None = (name, number)
        while origin is not None and origin[0] not in shown:
            name, number = origin
            query = Package.named(self._organisation, name).with_only_columns(Package.id)
            ancestor = self._db.scalar(query)
            if ancestor is None:
                break
            chapters.append(Chapter(name, self._entries(ancestor, number), number))
            shown = shown | {name}
            origin = _origin(chapters[-1])
        return chapters

    def _entries(self, package_id: int, up_to: int | None) -> list[Entry]:
        query = select(
            Version.number,
            Version.author,
            Version.published_at,
            Version.digest,
            Version.summary,
            Version.description,
            Version.tombstoned_at,
            Version.tombstone_reason,
            Version.forked_package,
            Version.forked_version,
        ).where(self._own(Version), Version.package_id == package_id)
        if up_to is not None:
            query = query.where(Version.number <= up_to)
        return [_entry(row) for row in self._db.execute(query.order_by(Version.number.desc()))]


def _origin(chapter: Chapter) -> tuple[str, int] | None:
    return chapter.entries[-1].forked_from if chapter.entries else None


def _entry(row: Row[*tuple[Any, ...]]) -> Entry:
    return Entry(
        number=row.number,
        author=row.author,
        date=row.published_at,
        content_hash=content_hash(row.digest),
        summary=row.summary,
        description=row.description,
        tombstoned=row.tombstoned_at is not None,
        tombstone_reason=row.tombstone_reason,
        forked_from=(row.forked_package, row.forked_version)
        if row.forked_package is not None
        else None,
    )
