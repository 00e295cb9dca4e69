"""Why a copy cannot be made, or cannot be read."""

from hubrepo.kernel.base import Conflict, HubError, Invalid


class NotACopy(Invalid):
    """The folder or file is no backup or export, or no whole one."""

    code = "not-a-copy"


class CopyDamaged(HubError):
    """Something in a copy is not what was written, or what should be copied is not what was kept."""

    code = "copy-damaged"


class InUse(Conflict):
    """Another process writes, or reads, the same copy."""

    code = "in-use"


class NotEmpty(Conflict):
    """The place where something is to be put has something already."""

    code = "not-empty"
