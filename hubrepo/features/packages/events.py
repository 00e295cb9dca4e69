"""What happens to packages. The subject is always the package."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class PackageEvent:
    """What all of them have."""

    action: ClassVar[str]
    package: str

    @property
    def subject(self) -> str:
        """The package."""
        return f"package:{self.package}"


@dataclass(frozen=True)
class PackageRegistered(PackageEvent):
    """A name was taken."""

    action = "packages:register"


@dataclass(frozen=True)
class VersionPublished(PackageEvent):
    """A version was added."""

    action = "packages:publish"
    version: int
    author: str
    content_hash: str
    size: int
    forked_from: str | None


@dataclass(frozen=True)
class VersionRemoved(PackageEvent):
    """A version was tombstoned; the aliases that pointed to it went with it."""

    action = "packages:tombstone"
    version: int
    reason: str
    aliases: list[str]


@dataclass(frozen=True)
class PackageDeleted(PackageEvent):
    """Every live version was tombstoned, every alias removed."""

    action = "packages:delete"
    reason: str
    versions: list[int]


@dataclass(frozen=True)
class AliasMoved(PackageEvent):
    """An alias points to another version; `previous` is None when it is new."""

    action = "packages:alias"
    alias: str
    version: int
    previous: int | None


@dataclass(frozen=True)
class AliasRemoved(PackageEvent):
    """An alias is gone."""

    action = "packages:unalias"
    alias: str
    version: int
