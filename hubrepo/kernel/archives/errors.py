"""Why an archive is refused, in words for those who sent it."""

from hubrepo.kernel.base import shown


class ArchiveRefused(Exception):
    """The archive breaks a rule: `reason` says which one, `member` who broke it.

    The text is a clause without a full stop, to be put behind `invalid package - ` or the like. The
    member's name is shown as its `repr`, for it may be what is wrong with it.
    """

    def __init__(self, reason: str, member: str | None = None) -> None:
        self.reason = reason
        self.member = member
        super().__init__(reason if member is None else f"{shown(member)} {reason}")


class NotAnArchive(ArchiveRefused):
    """The file as a whole cannot be read as a ZIP.

    Clients know this text and get no other. `detail` is for the log.
    """

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__("file is not a valid ZIP")
