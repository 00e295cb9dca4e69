"""Content-addressed bytes of one organisation, over a store that is a line in the ini."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import Invalid, now, setting
from hubrepo.kernel.blobs.memory import BlobMemory
from hubrepo.kernel.blobs.models import Blob
from hubrepo.kernel.blobs.services import BlobReader, BlobService, adopt_orphans, doom, sweep
from hubrepo.kernel.blobs.stores import BlobMissing, Stage, Store, open_store
from hubrepo.kernel.db import Database
from hubrepo.kernel.web import read_form

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
    "doom",
    "open_store",
    "read_upload",
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


def read_upload(request: Any, organisation: OrganisationRef) -> tuple[Stage, dict[str, str]]:
    """The uploaded `file` of a form, staged, and the form's text fields. Raises Invalid, FileTooLarge.

    Once the request is over the staged bytes are a blob, or nobody's.
    """
    own, registry = organisation.max_upload_size, request.registry
    limit = own if own is not None else registry.upload_settings.max_size
    form = read_form(request, "file", registry.store.stage, limit)
    request.add_finished_callback(lambda _: form.discard())
    if form.file is None:
        raise Invalid("no file provided")
    return form.file, form.fields


Tidy = Callable[[Database, datetime], int]


def add_tidying(config: Any, name: str, act: Tidy) -> None:
    """Directive: `act(database, now)` lets go of what nobody will ask for again; how many things.

    Called at start and by `hubrepo gc`, before blobs that were released are swept.
    """
    config.action(("tidying", name), lambda: config.registry.tidying.update({name: act}))


def tidy(registry: Any, grace: timedelta = STAGE_GRACE) -> dict[str, int]:
    """Remove what is left over, from processes that died and by the passing of time; how much of what.

    Stages are left alone for `grace`, and never for less than an upload may take.
    """
    done = {name: act(registry.database, now()) for name, act in registry.tidying.items()}
    stages = registry.store.sweep_stages(now() - max(grace, STAGE_GRACE))
    done["stages of dead processes"] = stages
    done["released blobs"] = sweep(registry.database, registry.store)
    return done


def includeme(config: Any) -> None:
    """Open the store."""
    settings = config.add_section(BlobSettings, "hubrepo")
    config.registry.blob_memory = BlobMemory(settings.blobs_in_memory)
    config.registry.tidying = {}
    config.add_directive("add_tidying", add_tidying)
    config.registry.store = open_store(settings.blobs)
    config.add_health_check("blobs", config.registry.store.ping)
