"""Artifacts: products with versions of any bytes, and tokens that each may do something with them."""

from pathlib import Path
from typing import Any

from hubrepo.features.artifacts.checks import check_products
from hubrepo.features.artifacts.credentials import HEADER, by_token
from hubrepo.features.artifacts.description import DESCRIPTION
from hubrepo.features.artifacts.errors import TokenMissing, error_json
from hubrepo.features.artifacts.health import Health, health_error
from hubrepo.features.artifacts.permissions import GRANTS
from hubrepo.features.artifacts.resources import (
    DeleteResource,
    DownloadResource,
    FetchResource,
    HealthResource,
    ModifyResource,
    ProductsResource,
    PruneResource,
    RegisterResource,
    ShowResource,
    UploadResource,
)
from hubrepo.features.artifacts.settings import ArtifactSettings
from hubrepo.features.artifacts.tokens import SECRET, SEGMENT
from hubrepo.kernel.security import ApiResource
from hubrepo.kernel.web import HYGIENE, RootResource

# What stands at the root, where its clients know it, and below `/api`.
TOP = {
    "health": HealthResource,
    "register": RegisterResource,
    "fetch": FetchResource,
    "prune": PruneResource,
    "product": ProductsResource,
}
# Caches between know that what is asked for with `Authorization` is private; of a token they do not.
FLEETING, PRIVATE = "no-store", "private, no-cache"


def includeme(config: Any) -> None:
    """Mount `/health`, `/register`, `/fetch`, `/prune` and `/product`, there and below `/api`."""
    registry = config.registry
    registry.artifact_settings = config.add_section(ArtifactSettings, "hubrepo.artifacts")
    parts = {"database": registry.database.ping, "storage": registry.stores.main.ping}
    registry.artifact_health = Health(parts)
    config.add_migrations(Path(__file__).parent / "migrations")
    config.add_grants(GRANTS)
    config.add_secret("artifact token", SECRET, "…")
    config.add_secret("segment of an artifact token", SEGMENT, r"\1…")
    config.add_shared_headers("artifacts", {HEADER}, {"X-Checksum-Sha256"})
    for name, factory in TOP.items():
        config.add_mount(RootResource, name, factory)
        config.add_mount(ApiResource, name, factory)
        caching = PRIVATE if name == "product" else FLEETING
        for path in (f"/{name}", f"/api/{name}"):
            config.add_error_shape(path, health_error if name == "health" else error_json)
            config.add_hygiene(path, (*HYGIENE, ("Cache-Control", caching)))
    paths = [f"{prefix}/{name}" for name in TOP for prefix in ("", "/api")]
    config.add_authenticator("artifact-token", by_token, paths, TokenMissing)
    config.add_mount(ProductsResource, "fetch", ShowResource)
    config.add_mount(ProductsResource, "delete", DeleteResource)
    config.add_mount(ProductsResource, "download", DownloadResource)
    config.add_mount(ProductsResource, "modify", ModifyResource)
    config.add_mount(ProductsResource, "upload", UploadResource)
    config.add_check("artifacts", check_products)
    config.scan(".views")
    config.add_description(DESCRIPTION)
