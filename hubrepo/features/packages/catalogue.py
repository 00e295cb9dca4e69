"""Reading packages: plain values, and statements that are put together once.

Every statement asks for an organisation, and their number does not grow with rows.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Label, Select, bindparam, select
from sqlalchemy.orm import aliased

from hubrepo.features.packages import errors
from hubrepo.features.packages.history import Chapter, Entry
from hubrepo.features.packages.models import LATEST, Alias, Package, Version
from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import Page, content_hash
from hubrepo.kernel.db import Rows


class PackageFacts(NamedTuple):
    """A package, as it was read."""

    id: int
    name: str
    created_at: datetime
    head: int
    archived_at: datetime | None


class VersionFacts(NamedTuple):
    """A version, as it was read."""

    number: int
    author: str
    summary: str
    description: str
    published_at: datetime
    published_by: str
    digest: str
    size: int
    tombstoned_at: datetime | None
    tombstone_reason: str
    forked_package: str | None
    forked_version: int | None
    fork_verified: bool | None


class AliasFacts(NamedTuple):
    """An alias, as it was read."""

    name: str
    number: int
    updated_at: datetime


@dataclass(frozen=True)
class Listed:
    """A package in the listing: `latest` is the highest version, `live` the one `latest` points to."""

    package: PackageFacts
    latest: VersionFacts | None
    live: VersionFacts | None


def _columns(facts: type[NamedTuple], model: Any, prefix: str = "") -> Iterable[Label[Any]]:
    return [getattr(model, field).label(prefix + field) for field in facts._fields]


# Where the second and the third thing begin in a row that holds a package and more.
_SECOND = len(PackageFacts._fields)
_THIRD = _SECOND + len(VersionFacts._fields)

OWNER: BindParameter[int] = bindparam("owner")
NAME: BindParameter[str] = bindparam("name")
PACKAGE: BindParameter[int] = bindparam("package")
NUMBER: BindParameter[int] = bindparam("number")
UP_TO: BindParameter[int] = bindparam("up_to")
LIMIT: BindParameter[int] = bindparam("limit")
HIGHEST = 2**31 - 1

_head, _live, _latest = aliased(Version), aliased(Version), aliased(Alias)

_PACKAGE = select(*_columns(PackageFacts, Package)).where(
    Package.organisation_id == OWNER, Package.name == NAME
)
_LISTING = (
    select(
        *_columns(PackageFacts, Package),
        *_columns(VersionFacts, _head, "head_"),
        *_columns(VersionFacts, _live, "live_"),
    )
    .outerjoin(
        _head,
        (_head.organisation_id == OWNER)
        & (_head.package_id == Package.id)
        & (_head.number == Package.head),
    )
    .outerjoin(
        _latest,
        (_latest.organisation_id == OWNER)
        & (_latest.package_id == Package.id)
        & (_latest.name == LATEST),
    )
    .outerjoin(
        _live,
        (_live.organisation_id == OWNER)
        & (_live.package_id == Package.id)
        & (_live.number == _latest.number),
    )
    .where(Package.organisation_id == OWNER)
    .order_by(Package.name)
    .limit(LIMIT)
)
_AFTER, _MATCHING = Package.name > NAME, Package.name.regexp_match(bindparam("names"))
# By whether they begin after a name, and whether names must match.
_LISTINGS = {
    (False, False): _LISTING,
    (True, False): _LISTING.where(_AFTER),
    (False, True): _LISTING.where(_MATCHING),
    (True, True): _LISTING.where(_AFTER, _MATCHING),
}
_VERSIONS = (
    select(*_columns(VersionFacts, Version))
    .where(Version.organisation_id == OWNER, Version.package_id == PACKAGE, Version.number <= UP_TO)
    .order_by(Version.number.desc())
    .limit(LIMIT)
)
# Every alias points to a version that is there, so one statement tells all of a package; a version
# comes once for each of its aliases.
_DETAIL = (
    select(
        *_columns(PackageFacts, Package),
        *_columns(VersionFacts, Version, "version_"),
        *_columns(AliasFacts, Alias, "alias_"),
    )
    .outerjoin(Version, (Version.organisation_id == OWNER) & (Version.package_id == Package.id))
    .outerjoin(
        Alias,
        (Alias.organisation_id == OWNER)
        & (Alias.package_id == Package.id)
        & (Alias.number == Version.number),
    )
    .where(Package.organisation_id == OWNER, Package.name == NAME)
    .order_by(Version.number.desc())
)
_VERSION = select(*_columns(VersionFacts, Version)).where(
    Version.organisation_id == OWNER, Version.package_id == PACKAGE, Version.number == NUMBER
)
_VERSION_BY_NAME = (
    select(*_columns(VersionFacts, Version))
    .join(Package, Package.id == Version.package_id)
    .where(
        Version.organisation_id == OWNER,
        Package.organisation_id == OWNER,
        Package.name == NAME,
        Version.number == NUMBER,
    )
)
_VERSION_AT_ALIAS = (
    select(*_columns(VersionFacts, Version))
    .join(
        Alias,
        (Alias.organisation_id == OWNER)
        & (Alias.package_id == PACKAGE)
        & (Alias.number == Version.number),
    )
    .where(Version.organisation_id == OWNER, Version.package_id == PACKAGE, Alias.name == NAME)
)
_ALIASES = (
    select(*_columns(AliasFacts, Alias))
    .where(Alias.organisation_id == OWNER, Alias.package_id == PACKAGE)
    .order_by(Alias.name)
)
_ALIAS = _ALIASES.where(Alias.name == NAME)


class Catalogue:
    """The packages of one organisation."""

    def __init__(self, rows: Rows, organisation: OrganisationRef) -> None:
        self._rows, self._owner = rows, organisation.id

    def _all(self, statement: Select[Any], **values: Hashable) -> Sequence[Any]:
        return self._rows.all(statement, {"owner": self._owner, **values})

    def _first(self, statement: Select[Any], **values: Hashable) -> Any:
        return self._rows.first(statement, {"owner": self._owner, **values})

    def package(self, name: str) -> PackageFacts:
        """Raises PackageNotFound."""
        row = self._first(_PACKAGE, name=name)
        if row is None:
            raise errors.PackageNotFound
        return PackageFacts._make(row)

    def detail(
        self, name: str
    ) -> tuple[PackageFacts, Sequence[VersionFacts], Sequence[AliasFacts]]:
        """A package, its versions, newest first, and its aliases by name. Raises PackageNotFound."""
        found = self._rows.read(_DETAIL, {"owner": self._owner, "name": name}, _detail)
        if found is None:
            raise errors.PackageNotFound
        return found

    def packages(self, page: Page, names: str | None = None) -> Sequence[Listed]:
        """Packages by name, each with its highest and its newest live version.

        With `names`, a regular expression, only those that match it.
        """
        values: dict[str, Hashable] = {"limit": page.fetch or HIGHEST}
        if page.after is not None:
            values["name"] = page.after
        if names is not None:
            values["names"] = names
        return [
            _listed(row)
            for row in self._all(_LISTINGS["name" in values, "names" in values], **values)
        ]

    def versions(self, package: PackageFacts, page: Page | None = None) -> Sequence[VersionFacts]:
        """The versions of a package, newest first, tombstoned ones included."""
        page = page or Page()
        below = page.after_number()
        up_to = HIGHEST if below is None else below - 1
        limit = page.fetch or HIGHEST
        rows = self._all(_VERSIONS, package=package.id, up_to=up_to, limit=limit)
        return [VersionFacts._make(row) for row in rows]

    def find_version(self, package: PackageFacts, number: int) -> VersionFacts | None:
        """The version of that number, if there is one."""
        row = self._first(_VERSION, package=package.id, number=number)
        return None if row is None else VersionFacts._make(row)

    def version(self, name: str, number: int) -> VersionFacts:
        """Raises VersionNotFound, also for an unknown package."""
        row = self._first(_VERSION_BY_NAME, name=name, number=number)
        if row is None:
            raise errors.VersionNotFound
        return VersionFacts._make(row)

    def aliases(self, package: PackageFacts) -> Sequence[AliasFacts]:
        """The aliases of a package, by name."""
        return [AliasFacts._make(row) for row in self._all(_ALIASES, package=package.id)]

    def alias(self, package: PackageFacts, name: str) -> AliasFacts:
        """Raises AliasNotFound."""
        row = self._first(_ALIAS, package=package.id, name=name)
        if row is None:
            raise errors.AliasNotFound(name)
        return AliasFacts._make(row)

    def at_alias(self, name: str, alias: str) -> VersionFacts:
        """The version that an alias points to. Raises PackageNotFound, AliasNotFound."""
        package = self.package(name)
        row = self._first(_VERSION_AT_ALIAS, package=package.id, name=alias)
        if row is None:
            raise errors.AliasNotFound(alias)
        return VersionFacts._make(row)

    def latest(self, name: str) -> VersionFacts:
        """The newest live version. Raises PackageNotFound, NothingPublished."""
        try:
            return self.at_alias(name, LATEST)
        except errors.AliasNotFound:
            raise errors.NothingPublished from None

    def chapters(self, name: str, up_to: int = HIGHEST) -> list[Chapter]:
        """The history of a package, up to a version, and of those that it was forked from."""
        own = Chapter(name, self._entries(self.package(name).id, up_to), None)
        origin = _origin(own)
        return [own, *(self.ancestry(*origin, shown={name}) if origin else ())]

    def ancestry(self, name: str, number: int, shown: set[str]) -> list[Chapter]:
        """The history of `name` up to `number`, and on to what that was forked from.

        Stops at a package that is in `shown`, or was told already.
        """
        chapters: list[Chapter] = []
        origin: tuple[str, int] | None = (name, number)
        while origin is not None and origin[0] not in shown:
            name, number = origin
            ancestor = self._first(_PACKAGE, name=name)
            if ancestor is None:
                break
            chapters.append(Chapter(name, self._entries(ancestor.id, number), number))
            shown = shown | {name}
            origin = _origin(chapters[-1])
        return chapters

    def _entries(self, package_id: int, up_to: int) -> list[Entry]:
        rows = self._all(_VERSIONS, package=package_id, up_to=up_to, limit=HIGHEST)
        return [entry_of(VersionFacts._make(row)) for row in rows]


def entry_of(version: VersionFacts | Version, *, hashed: bool = True) -> Entry:
    """A version's entry in the history; without its hash in the archive that is being hashed."""
    name, number = version.forked_package, version.forked_version
    return Entry(
        number=version.number,
        author=version.author,
        date=version.published_at,
        content_hash=content_hash(version.digest) if hashed else None,
        summary=version.summary,
        description=version.description,
        tombstoned=version.tombstoned_at is not None,
        tombstone_reason=version.tombstone_reason,
        forked_from=(name, number) if name is not None and number is not None else None,
    )


def _origin(chapter: Chapter) -> tuple[str, int] | None:
    return chapter.entries[-1].forked_from if chapter.entries else None


def _detail(
    rows: Sequence[Any],
) -> tuple[PackageFacts, Sequence[VersionFacts], Sequence[AliasFacts]] | None:
    if not rows:
        return None
    versions: dict[int, VersionFacts] = {}
    aliases = []
    for row in rows:
        version, alias = row[_SECOND:_THIRD], row[_THIRD:]
        if version[0] is not None:
            versions.setdefault(version[0], VersionFacts._make(version))
        if alias[0] is not None:
            aliases.append(AliasFacts._make(alias))
    return PackageFacts._make(rows[0][:_SECOND]), tuple(versions.values()), tuple(sorted(aliases))


def _listed(row: Sequence[Any]) -> Listed:
    latest, live = row[_SECOND:_THIRD], row[_THIRD:]
    return Listed(
        PackageFacts._make(row[:_SECOND]),
        VersionFacts._make(latest) if latest[0] is not None else None,
        VersionFacts._make(live) if live[0] is not None else None,
    )
