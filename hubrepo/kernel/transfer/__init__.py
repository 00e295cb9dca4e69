"""Copies of a hub, and of one organisation, that prove themselves: backup, restore, export, import."""

from hubrepo.kernel.transfer.backups import Backup, Done
from hubrepo.kernel.transfer.errors import CopyDamaged, InUse, NotACopy, NotEmpty
from hubrepo.kernel.transfer.events import OrganisationExported
from hubrepo.kernel.transfer.exports import Moved, OrganisationUnknown, export_organisation
from hubrepo.kernel.transfer.imports import AlreadyHere, import_organisation

__all__ = [
    "AlreadyHere",
    "Backup",
    "CopyDamaged",
    "Done",
    "InUse",
    "Moved",
    "NotACopy",
    "NotEmpty",
    "OrganisationExported",
    "OrganisationUnknown",
    "export_organisation",
    "import_organisation",
]
