"""Letting go of what nobody will ask for again: at start, and by `hubrepo gc`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hubrepo.kernel.base import now
from hubrepo.kernel.blobs.services import sweep
from hubrepo.kernel.db import Database

# Longer than any upload takes: an older stage belongs to a process that died.
STAGE_GRACE = timedelta(days=1)

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
