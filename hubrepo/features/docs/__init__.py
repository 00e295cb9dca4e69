"""The hub's description of itself: for programs at `/api/openapi.json`, for people at `/docs`."""

from typing import Any

from hubrepo.features.docs.description import DESCRIPTION
from hubrepo.features.docs.resources import DocsResource, OpenAPIResource
from hubrepo.kernel.security import ApiResource
from hubrepo.kernel.web import RootResource


def includeme(config: Any) -> None:
    """Mount `/api/openapi.json` and `/docs`."""
    config.add_mount(ApiResource, "openapi.json", OpenAPIResource)
    config.add_mount(RootResource, "docs", DocsResource)
    config.scan(".views")
    config.add_description(DESCRIPTION)
