"""What an organisation may know and do about itself: its limits, keys, members and log."""

from typing import Any

from hubrepo.features.organisation.description import DESCRIPTION
from hubrepo.features.organisation.permissions import GRANTS
from hubrepo.features.organisation.resources import (
    KeysResource,
    LogResource,
    MembersResource,
    SelfResource,
)
from hubrepo.kernel.security import OrganisationResource


def includeme(config: Any) -> None:
    """Mount `/api/organisation`, `/api/keys`, `/api/members` and `/api/log`."""
    config.add_grants(GRANTS)
    config.add_mount(OrganisationResource, "organisation", SelfResource)
    config.add_mount(OrganisationResource, "keys", KeysResource)
    config.add_mount(OrganisationResource, "members", MembersResource)
    config.add_mount(OrganisationResource, "log", LogResource)
    config.scan(".views")
    config.add_description(DESCRIPTION)
