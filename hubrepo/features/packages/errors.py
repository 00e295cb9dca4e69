"""What can be wrong with packages; the texts are the ones that clients of the reference know."""

from collections.abc import Mapping

from hubrepo.features.packages.models import MAX_NAME
from hubrepo.kernel.base import Conflict, Gone, Invalid, NotFound, shown


class PackageNotFound(NotFound):
    """No such package in this organisation."""

    code = "package-not-found"
    message = "No Package matches the given query."


class VersionNotFound(NotFound):
    """No such version in this organisation."""

    code = "version-not-found"
    message = "No PackageVersion matches the given query."


class BytesNotFound(NotFound):
    """The row is there, the bytes are not: a damaged store."""

    code = "bytes-not-found"
    message = "zip not found on disk"


class NothingPublished(NotFound):
    """No live version."""

    code = "nothing-published"
    message = "no published versions"


class PackageExists(Conflict):
    """The name is taken."""

    code = "package-exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"package '{name}' already exists")


class BadPackageName(Invalid):
    """A name that no URL could reach."""

    code = "bad-package-name"

    def __init__(self) -> None:
        super().__init__(
            f"a package name is 1 to {MAX_NAME} letters, digits, '_', '-' and '.', "
            "and starts with neither '-' nor '.'"
        )


class HeadMoved(Conflict):
    """`parent_version` is not the head any more."""

    code = "head-moved"

    def __init__(self, head: int) -> None:
        super().__init__("head moved", fields={"head": head})


class InvalidPackage(Invalid):
    """The uploaded archive cannot become a version."""

    code = "invalid-package"

    def __init__(self, reason: object) -> None:
        super().__init__(f"invalid package - {reason}")


class NameMismatch(Invalid):
    """The manifest speaks of another package."""

    code = "name-mismatch"

    def __init__(self, manifest: str, url: str) -> None:
        super().__init__(f"manifest name {shown(manifest)} does not match URL '{url}'")


class NotAFork(Invalid):
    """`forked_from` was declared, and cannot be."""

    code = "not-a-fork"


class AlreadyTombstoned(Gone):
    """It cannot be tombstoned twice."""

    code = "already-tombstoned"
    message = "version already tombstoned"


class VersionTombstoned(Gone):
    """The bytes are gone; the answer tells what they were."""

    code = "tombstoned"

    def __init__(self, facts: Mapping[str, object]) -> None:
        super().__init__("tombstoned", fields=facts)


class AliasReserved(Invalid):
    """`latest` is moved by the hub alone."""

    code = "alias-reserved"
    message = "alias 'latest' is reserved and managed automatically"


class BadAliasName(Invalid):
    """Not kebab-case, or too long."""

    code = "bad-alias-name"


class AliasNotFound(NotFound):
    """No such alias."""

    code = "alias-not-found"

    def __init__(self, alias: str) -> None:
        super().__init__(f"alias '{alias}' not found")


class AliasTargetNotFound(NotFound):
    """An alias cannot point to a version that is not there."""

    code = "alias-target-not-found"

    def __init__(self, number: int) -> None:
        super().__init__(f"version {number} not found")


class AliasTargetTombstoned(Conflict):
    """An alias points to live versions only."""

    code = "alias-target-tombstoned"

    def __init__(self, number: int) -> None:
        super().__init__(f"version {number} is tombstoned")
