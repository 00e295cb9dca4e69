"""hubrepo: the server that keeps a team's packages, pages and artifacts."""

import logging
import warnings
from collections.abc import Mapping
from typing import Any

# Pyramid 2.1 imports pkg_resources, which tells everybody at every start that it is deprecated.
warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)

from pyramid.config import Configurator  # noqa: E402
from sqlalchemy.exc import DBAPIError, SQLAlchemyError  # noqa: E402

from hubrepo.kernel.base import HubError, Misconfigured, one_line  # noqa: E402
from hubrepo.kernel.blobs import tidy  # noqa: E402
from hubrepo.kernel.db import is_current, upgrade  # noqa: E402
from hubrepo.kernel.openapi import describe  # noqa: E402
from hubrepo.kernel.web import make_router, settle  # noqa: E402

log = logging.getLogger(__name__)

# What the hub offers. A feature is its folder, its tests' folder, and its line here.
FEATURES = (
    "hubrepo.features.packages",
    "hubrepo.features.pages",
    "hubrepo.features.artifacts",
    "hubrepo.features.organisation",
    "hubrepo.features.docs",
)

# In what PasteDeploy hands to `main`: somebody has looked and tidied already, for all workers.
TIDIED = "hubrepo_tidied"

# Seconds for which a start removes blobs, before what it lets go of by itself and after; it is waited for.
TIDYING = 3.0


def configure(settings: Mapping[str, str]) -> Configurator:
    """The kernel and every feature, put together, the store tried. Raises Misconfigured."""
    config = Configurator(settings=dict(settings))
    config.include("hubrepo.kernel")
    for feature in FEATURES:
        config.include(feature)
    config.commit()
    settle(config)
    describe(config)
    return config


def main(global_config: Mapping[str, str], **settings: str) -> Any:
    """The WSGI application. Raises SystemExit with one sentence when it cannot start."""
    try:
        config = configure(settings)
        prepare_database(config.registry)
        if TIDIED not in global_config:
            config.registry.stores.look_for_bytes(config.registry.database)
    except Misconfigured as error:
        raise SystemExit(f"hubrepo cannot start: {error}") from None
    if TIDIED not in global_config:
        tidy_at_start(config.registry)
    return make_router(config)


def tidy_at_start(registry: Any) -> None:
    """Let go of what is left over. What fails now is no reason not to serve."""
    try:
        tidy(registry, seconds=TIDYING)
    except (HubError, SQLAlchemyError):
        log.exception("could not tidy; the next start or `hubrepo gc` will")


def prepare_database(registry: Any, *, migrate: bool = False) -> None:
    """See to it that the database is there and up to date. Raises Misconfigured."""
    try:
        if migrate or registry.migrate_on_start:
            upgrade(registry.database, registry.migrations)
        current = is_current(registry.database, registry.migrations)
    except DBAPIError as error:
        raise Misconfigured(
            f"hubrepo.database cannot be used: {one_line(str(error.orig))}"
        ) from error
    except OSError as error:
        raise Misconfigured(f"hubrepo.database cannot be made: {error}") from error
    if not current:
        raise Misconfigured("the database is not up to date: run `hubrepo -c INI init`")
