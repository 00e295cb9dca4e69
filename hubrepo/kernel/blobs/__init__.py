"""Content-addressed bytes of one organisation, over a store that is a line in the ini."""

from dataclasses import dataclass
from typing import Any

from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import setting
from hubrepo.kernel.blobs.memory import BlobMemory
from hubrepo.kernel.blobs.models import Blob
from hubrepo.kernel.blobs.services import BlobReader, BlobService, adopt_orphans, doom, sweep
from hubrepo.kernel.blobs.stores import BlobMissing, Stage, Store, open_store
from hubrepo.kernel.blobs.tidying import add_tidying, tidy
from hubrepo.kernel.blobs.uploads import read_upload

__all__ = [
    "Blob",
    "BlobMissing",
    "BlobReader",
    "BlobService",
    "Stage",
    "Store",
    "adopt_orphans",
    "blob_reader",
    "blob_service",
    "doom",
    "open_store",
    "read_upload",
    "sweep",
    "tidy",
]


@dataclass(frozen=True)
class BlobSettings:
    """Where bytes lie."""

    blobs: str = setting(
        help="URL of the store: `osfs:///srv/blobs` for a folder, `mem://` for memory."
    )
    blobs_in_memory: int = setting(
        32 * 1024**2,
        minimum=0,
        help="Bytes of memory in which a process keeps small files that it read lately; 0: none.",
    )


def blob_reader(request: Any, organisation: OrganisationRef) -> BlobReader:
    """The bytes of `organisation`, for reading."""
    return BlobReader(request.registry.store, organisation, request.registry.blob_memory)


def blob_service(request: Any, organisation: OrganisationRef) -> BlobService:
    """The bytes of `organisation`, in the request's transaction."""
    registry = request.registry
    return BlobService(
        registry.database, request.db, registry.store, organisation, request.tm, request.now,
        registry.quotas.max_stored_bytes,
    )  # fmt: skip


def includeme(config: Any) -> None:
    """Open the store."""
    settings = config.add_section(BlobSettings, "hubrepo")
    config.registry.blob_memory = BlobMemory(settings.blobs_in_memory)
    config.registry.tidying = {}
    config.add_directive("add_tidying", add_tidying)
    config.registry.store = open_store(settings.blobs)
    config.add_health_check("blobs", config.registry.store.ping)
