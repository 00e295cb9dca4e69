"""Packages: numbered, immutable, hashed archives, with a history that is never lost."""

from pathlib import Path
from typing import Any

from hubrepo.features.packages.checks import check_packages
from hubrepo.features.packages.description import DESCRIPTION
from hubrepo.features.packages.permissions import GRANTS
from hubrepo.features.packages.resources import (
    KIND,
    AliasesResource,
    PackageResource,
    PackagesResource,
    VersionsResource,
)
from hubrepo.features.packages.settings import PackageSettings
from hubrepo.kernel.security import OrganisationResource


def includeme(config: Any) -> None:
    """Mount `/api/packages`."""
    config.registry.package_settings = config.add_section(PackageSettings, "hubrepo.packages")
    config.add_migrations(Path(__file__).parent / "migrations")
    config.add_grants(GRANTS)
    config.add_name_kind(KIND)
    config.add_mount(OrganisationResource, "packages", PackagesResource)
    config.add_mount(PackageResource, "versions", VersionsResource)
    config.add_mount(PackageResource, "aliases", AliasesResource)
    config.add_check("packages", check_packages)
    config.scan(".views")
    config.add_description(DESCRIPTION)
