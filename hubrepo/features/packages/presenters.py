"""Packages as their clients know them: fields, their order and their formats are the contract."""

from collections.abc import Sequence

from hubrepo.features.packages.catalogue import AliasFacts, Listed, PackageFacts, VersionFacts
from hubrepo.features.packages.models import Alias, Package, Version
from hubrepo.kernel.base import content_hash, iso_micros, iso_seconds


class Presenter:
    """`prefix` is what every URL of the hub begins with, empty when it is mounted at the root."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def version(self, name: str, version: VersionFacts | Version) -> dict[str, object]:
        """A version of the package `name`. The eleven fields of the reference, then ours."""
        live = version.tombstoned_at is None
        origin = {"package": version.forked_package, "version": version.forked_version}
        return {
            "package": name,
            "version": version.number,
            "author": version.author,
            "date": iso_seconds(version.published_at),
            "summary": version.summary,
            "description": version.description,
            "content_hash": content_hash(version.digest),
            "download_url": f"{self._prefix}/api/packages/{name}/versions/{version.number}/download"
            if live
            else None,
            "tombstoned": not live,
            "tombstone_reason": version.tombstone_reason,
            "forked_from": origin if version.forked_package is not None else None,
            "fork_verified": version.fork_verified,
            "published_by": version.published_by,
            "size": version.size,
        }

    def listed(self, listed: Listed) -> dict[str, object]:
        """A package in the listing."""
        name, latest, live = listed.package.name, listed.latest, listed.live
        return {
            "name": name,
            "latest_version": self.version(name, latest) if latest is not None else None,
            "versions_count": listed.package.head,
            "created_at": iso_micros(listed.package.created_at),
            "latest_live_version": self.version(name, live) if live is not None else None,
            "archived": listed.package.archived_at is not None,
        }

    def package(
        self,
        package: PackageFacts | Package,
        versions: Sequence[VersionFacts],
        aliases: Sequence[AliasFacts],
    ) -> dict[str, object]:
        """A package with everything in it."""
        return {
            "name": package.name,
            "created_at": iso_micros(package.created_at),
            "versions": [self.version(package.name, each) for each in versions],
            "aliases": [alias_json(each) for each in aliases],
            "archived": package.archived_at is not None,
        }


def alias_json(alias: AliasFacts | Alias) -> dict[str, object]:
    """An alias."""
    return {"name": alias.name, "version": alias.number, "updated_at": iso_micros(alias.updated_at)}


def tombstone_facts(name: str, version: VersionFacts) -> dict[str, object]:
    """What is left of a tombstoned version, for those who want its bytes."""
    return {
        "package": name,
        "version": version.number,
        "author": version.author,
        "date": iso_seconds(version.published_at),
        "summary": version.summary,
        "tombstone_reason": version.tombstone_reason,
        "tombstoned_at": iso_seconds(version.tombstoned_at) if version.tombstoned_at else None,
    }
