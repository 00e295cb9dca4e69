"""An upload on its way to being a version: checked, copied, waiting for its number.

All that takes long happens here, before the first row is touched: inflating every member once, and
copying the ones that stay as they are. What depends on the number, the manifest and the history, is
written last, so the transaction that takes the number is short.
"""

from collections.abc import Callable
from datetime import datetime
from typing import BinaryIO

from hubrepo.features.packages.errors import InvalidPackage
from hubrepo.features.packages.history import Claim, read_claim
from hubrepo.features.packages.manifest import InvalidManifest, Manifest, read_manifest, stamp
from hubrepo.kernel.archives import Archive, ArchiveLimits, ArchiveRefused, ArchiveWriter, Member
from hubrepo.kernel.base import shown
from hubrepo.kernel.blobs import Stage

MANIFEST = "package.toml"
HISTORY = "HISTORY.md"
MAX_MANIFEST = 1024 * 1024
MAX_HISTORY = 8 * 1024 * 1024


class Draft:
    """A checked package archive, all but its manifest and history written to `stage`."""

    def __init__(
        self, upload: BinaryIO, limits: ArchiveLimits, new_stage: Callable[[], Stage]
    ) -> None:
        """Raises InvalidPackage."""
        try:
            archive = Archive.read_from(upload, limits)
            self._manifest_member, self._history_member = _find(archive)
            self._raw_manifest = archive.read(self._manifest_member, MAX_MANIFEST)
            self.manifest: Manifest = read_manifest(self._raw_manifest)
            self.claim: Claim | None = _claim(archive, self._history_member)
            stamp(self._raw_manifest, 1)
            archive.verify()
        except (ArchiveRefused, InvalidManifest) as error:
            raise InvalidPackage(error) from error
        self.stage = new_stage()
        self._order: list[str] = []
        self._writer = ArchiveWriter(self.stage)
        self._copy(archive)

    def _copy(self, archive: Archive) -> None:
        try:
            for member in archive.members:
                name = self._stored_name(member)
                self._order.append(name)
                if member not in (self._manifest_member, self._history_member):
                    self._writer.copy(archive, member)
            self.stage.sync()
        except BaseException:
            self.discard()
            raise

    def _stored_name(self, member: Member) -> str:
        folder = member.name[: member.name.rfind("/") + 1]
        if member is self._manifest_member:
            return folder + MANIFEST
        return folder + HISTORY if member is self._history_member else member.name

    def finish(self, number: int, history: str, now: datetime) -> Stage:
        """Write the manifest stamped with `number`, and `history`; the whole archive."""
        manifest = stamp(self._raw_manifest, number)
        old_manifest, old_history = self._manifest_member, self._history_member
        self._writer.add(self._stored_name(old_manifest), manifest, modified=now, like=old_manifest)
        if old_history is None:
            self._order.append(HISTORY)
        name = HISTORY if old_history is None else self._stored_name(old_history)
        self._writer.add(name, history.encode(), modified=now, like=old_history)
        self._writer.finish(self._order)
        return self.stage

    def discard(self) -> None:
        """Forget what was staged."""
        self.stage.discard()


def _find(archive: Archive) -> tuple[Member, Member | None]:
    """The manifest and the history: at the root, or in the single folder that holds everything.

    An archive that came from here has the history at its root, also when all else is in a folder.
    """
    root = archive.root_beside(HISTORY)
    manifest = archive.find(root, MANIFEST)
    if manifest is None:
        raise InvalidPackage(f"missing `{MANIFEST}` file")
    history = archive.find("", HISTORY) or archive.find(root, HISTORY)
    if history is None:
        for member in archive.members:
            if member.name.partition("/")[0].casefold() == HISTORY.casefold():
                raise InvalidPackage(f"{shown(member.name)} is where {HISTORY} goes")
    return manifest, history


def _claim(archive: Archive, history: Member | None) -> Claim | None:
    """What the archive's own history says it is; nothing, where it cannot be read."""
    if history is None or history.size > MAX_HISTORY:
        return None
    return read_claim(archive.read(history, MAX_HISTORY))
