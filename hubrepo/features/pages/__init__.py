"""Pages: an archive served at a path, world-readable, swapped at once, rolled back in one call."""

from functools import partial
from pathlib import Path
from typing import Any

from hubrepo.features.pages.checks import check_pages
from hubrepo.features.pages.description import DESCRIPTION
from hubrepo.features.pages.models import MAX_PATH, PAGES
from hubrepo.features.pages.permissions import GRANTS
from hubrepo.features.pages.resources import PagesResource, PublicPagesResource
from hubrepo.features.pages.services import forget_old
from hubrepo.features.pages.settings import PageSettings, PagesHost, PlaceSettings
from hubrepo.features.pages.visits import OPEN, SANDBOXED, error_page
from hubrepo.kernel.security import OrganisationResource
from hubrepo.kernel.web import RootResource


def includeme(config: Any) -> None:
    """Mount `/api/pages` and `/pages`."""
    registry = config.registry
    settings = config.add_section(PageSettings, "hubrepo.pages")
    place = config.add_section(PlaceSettings, "hubrepo")
    host = PagesHost.of(place)
    registry.page_settings, registry.pages_host = settings, host
    registry.longest_address = MAX_PATH + 1 + registry.archive_limits.max_name
    config.add_migrations(Path(__file__).parent / "migrations")
    config.add_grants(GRANTS)
    config.add_mount(OrganisationResource, "pages", PagesResource)
    config.add_mount(RootResource, "pages", PublicPagesResource)
    config.add_error_shape("/pages", error_page, "text/html; charset=utf-8")
    config.add_hygiene("/pages", SANDBOXED if host is None else OPEN)
    if host is not None:
        config.add_host(host.name, "pages")
    config.add_store(PAGES, place.pages, "hubrepo.pages")
    config.add_check("pages", check_pages)
    config.add_tidying("old publications", partial(forget_old, settings))
    config.scan(".views")
    config.add_description(DESCRIPTION)
