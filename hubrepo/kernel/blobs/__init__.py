"""Content-addressed bytes of one organisation, over a store that is a line in the ini."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import now, setting
from hubrepo.kernel.blobs.models import Blob
from hubrepo.kernel.blobs.services import BlobReader, BlobService, adopt_orphans, sweep
from hubrepo.kernel.blobs.stores import BlobMissing, Stage, Store, open_store

__all__ = [
    "STAGE_GRACE",
    "Blob",
    "BlobMissing",
    "BlobReader",
    "BlobService",
    "Stage",
    "Store",
    "adopt_orphans",
    "blob_reader",
    "blob_service",
    "open_store",
    "sweep",
]

# Longer than any upload takes: an older stage belongs to a process that died.
STAGE_GRACE = timedelta(days=1)


@dataclass(frozen=True)
class BlobSettings:
    """Where bytes lie."""

    blobs: str = setting(
        help="URL of the store: `osfs:///srv/blobs` for a folder, `mem://` for memory."
    )


def blob_reader(request: Any, organisation: OrganisationRef) -> BlobReader:
    """The bytes of `organisation`, for reading."""
    return BlobReader(request.registry.store, organisation)


def blob_service(request: Any, organisation: OrganisationRef) -> BlobService:
    """The bytes of `organisation`, in the request's transaction."""
    registry = request.registry
    return BlobService(
        registry.database, request.db, registry.store, organisation, request.tm, request.now,
        registry.quotas.max_stored_bytes,
    )  # fmt: skip


def tidy(registry: Any) -> None:
    """What a start finds left over from processes that died."""
    registry.store.sweep_stages(now() - STAGE_GRACE)
    sweep(registry.database, registry.store)


def includeme(config: Any) -> None:
    """Open the store."""
    settings = config.add_section(BlobSettings, "hubrepo")
    config.registry.store = open_store(settings.blobs)
    config.add_health_check("blobs", config.registry.store.ping)
