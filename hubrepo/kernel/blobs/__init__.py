"""Content-addressed bytes of one organisation, over stores that are lines in the ini."""

import logging
from dataclasses import dataclass
from typing import Any

from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import HubError, setting
from hubrepo.kernel.blobs.checking import DANGLING, Check, Finding, add_check
from hubrepo.kernel.blobs.comparing import (
    BLOB_FACTS,
    BlobFacts,
    OutOfOrder,
    ascending,
    facts_of,
    key_of,
    named_by,
)
from hubrepo.kernel.blobs.copying import (
    BlobDamaged,
    Copied,
    Outcome,
    copy_blob,
    copy_if_whole,
    copy_store,
    digest_of,
    is_whole,
)
from hubrepo.kernel.blobs.holds import hold, is_held
from hubrepo.kernel.blobs.memory import BlobMemory
from hubrepo.kernel.blobs.models import MAIN, Blob
from hubrepo.kernel.blobs.named import Stores, add_store, are_one
from hubrepo.kernel.blobs.orphans import adopt_orphans
from hubrepo.kernel.blobs.parallel import in_parallel
from hubrepo.kernel.blobs.services import BlobReader, BlobService
from hubrepo.kernel.blobs.stores import (
    BlobMissing,
    DiskStore,
    Stage,
    Store,
    StoreFull,
    StoreUnavailable,
    failure_of,
    open_store,
)
from hubrepo.kernel.blobs.sweeping import doom, is_referred_to, sweep
from hubrepo.kernel.blobs.tidying import add_tidying, tidy
from hubrepo.kernel.blobs.uploads import read_upload

__all__ = [
    "BLOB_FACTS",
    "DANGLING",
    "MAIN",
    "Blob",
    "BlobDamaged",
    "BlobFacts",
    "BlobMissing",
    "BlobReader",
    "BlobService",
    "Check",
    "Copied",
    "DiskStore",
    "Finding",
    "OutOfOrder",
    "Outcome",
    "Stage",
    "Store",
    "StoreFull",
    "StoreUnavailable",
    "Stores",
    "adopt_orphans",
    "are_one",
    "ascending",
    "blob_reader",
    "blob_service",
    "copy_blob",
    "copy_if_whole",
    "copy_store",
    "digest_of",
    "doom",
    "facts_of",
    "hold",
    "in_parallel",
    "is_held",
    "is_referred_to",
    "is_whole",
    "key_of",
    "named_by",
    "open_store",
    "read_upload",
    "sweep",
    "tidy",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlobSettings:
    """Where bytes lie."""

    blobs: str = setting(
        help="URL of the store: `osfs:///srv/blobs` for a folder, `s3://bucket/prefix` for S3 (behind a `?`: "
        "`endpoint`, `region`, `addressing=path` or `virtual`, `timeout` in seconds; credentials come from the "
        "environment), `mem://` for memory."
    )
    blobs_in_memory: int = setting(
        32 * 1024**2,
        minimum=0,
        help="Bytes of memory in which a process keeps small files that it read lately; 0: none.",
    )
    redirect_downloads: bool = setting(
        False,
        help="Answer downloads with a redirect to the store, for a minute's use, "
        "where the store has addresses of its own (S3); clients must reach it then.",
    )


def blob_reader(request: Any, organisation: OrganisationRef, kept_in: str = MAIN) -> BlobReader:
    """The bytes of `organisation` in the store named `kept_in`, for reading."""
    registry = request.registry
    return BlobReader(registry.stores[kept_in], organisation, registry.blob_memory)


def blob_service(request: Any, organisation: OrganisationRef, kept_in: str = MAIN) -> BlobService:
    """The bytes of `organisation`, in the request's transaction; put in the store named `kept_in`."""
    registry = request.registry
    return BlobService(
        registry.database, request.db, registry.stores, organisation, request.tm, request.now,
        registry.quotas.max_stored_bytes, kept_in, registry.afterwards,
    )  # fmt: skip


def answer_to(error: OSError) -> HubError | None:
    """The answer to a disk that fails under an upload that is being read; None for a defect of ours."""
    answer = failure_of(error)
    if answer is not None:
        log.warning("%s: %s", answer.code, error)
    return answer


def includeme(config: Any) -> None:
    """Open the main store."""
    registry, settings = config.registry, config.add_section(BlobSettings, "hubrepo")
    registry.redirect_downloads = settings.redirect_downloads
    registry.blob_memory = BlobMemory(settings.blobs_in_memory)
    registry.tidying, registry.checks = {}, {}
    registry.stores = Stores(open_store(settings.blobs))
    config.add_directive("add_tidying", add_tidying)
    config.add_directive("add_check", add_check)
    config.add_directive("add_store", add_store)
    config.add_error_translation(OSError, answer_to)
    config.add_health_check("blobs", registry.stores.main.ping)
