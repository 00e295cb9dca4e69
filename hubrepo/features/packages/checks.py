"""Rows of packages that contradict one another: what `hubrepo check` asks of this feature."""

from collections.abc import Iterator

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from hubrepo.features.packages.models import LATEST, Alias, Package, Version
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.blobs import DANGLING, Blob, Finding

_IS_LIVE = Version.tombstoned_at.is_(None)


def check_packages(db: Session) -> Iterator[Finding]:
    """Gaps in numbers, versions without their bytes, aliases that lead nowhere or to the wrong version."""
    for finding in (_gaps, _versions, _aliases):
        yield from finding(db)


def _gaps(db: Session) -> Iterator[Finding]:
    counted = (
        select(
            Package.id,
            func.count(Version.id).label("count"),
            func.max(Version.number).label("last"),
        )
        .outerjoin(Version, Version.package_id == Package.id)
        .group_by(Package.id)
        .subquery()
    )
    query = (
        select(Organisation.slug, Package.name, Package.head, counted.c.count)
        .join(Package, Package.organisation_id == Organisation.id)
        .join(counted, counted.c.id == Package.id)
        .where(
            or_(counted.c.count != Package.head, func.coalesce(counted.c.last, 0) != Package.head)
        )
    )
    for slug, name, head, count in db.execute(query):
        text = f"its last number is {head}, and it has {count} versions"
        yield Finding(DANGLING, f"package:{slug}/{name}", text)


def _versions(db: Session) -> Iterator[Finding]:
    query = (
        select(Organisation.slug, Package.name, Version.number)
        .join(Package, Package.organisation_id == Organisation.id)
        .join(Version, Version.package_id == Package.id)
        .outerjoin(Blob, Blob.id == Version.blob_id)
        .where(
            or_(
                Version.blob_id.is_(None) == _IS_LIVE,
                Blob.digest != Version.digest,
                Blob.size != Version.size,
                Blob.organisation_id != Version.organisation_id,
            )
        )
    )
    for slug, name, number in db.execute(query):
        text = "it is live without a blob, tombstoned with one, or its blob is another one"
        yield Finding(DANGLING, f"package:{slug}/{name} version {number}", text)


def _aliases(db: Session) -> Iterator[Finding]:
    newest = (
        select(func.max(Version.number))
        .where(Version.package_id == Package.id, _IS_LIVE)
        .scalar_subquery()
    )
    latest = and_(Alias.package_id == Package.id, Alias.name == LATEST)
    query = (
        select(Organisation.slug, Package.name, Alias.number, newest)
        .join(Package, Package.organisation_id == Organisation.id)
        .outerjoin(Alias, latest)
        .where(func.coalesce(Alias.number, 0) != func.coalesce(newest, 0))
    )
    for slug, name, found, expected in db.execute(query):
        text = f"`latest` is {found}, and the newest live version {expected}"
        yield Finding(DANGLING, f"package:{slug}/{name}", text)
    dead = (
        select(Organisation.slug, Package.name, Alias.name)
        .join(Package, Package.organisation_id == Organisation.id)
        .join(Alias, Alias.package_id == Package.id)
        .join(Version, and_(Version.package_id == Package.id, Version.number == Alias.number))
        .where(Version.tombstoned_at.is_not(None))
    )
    for slug, name, alias in db.execute(dead):
        yield Finding(DANGLING, f"package:{slug}/{name}", f"`{alias}` points to a tombstone")
