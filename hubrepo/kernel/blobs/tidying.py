"""Letting go of what nobody will ask for again: at start, and by `hubrepo gc`."""

from datetime import datetime, timedelta
from typing import Any, Protocol

from hubrepo.kernel.base import now
from hubrepo.kernel.blobs.sweeping import sweep, sweep_for
from hubrepo.kernel.db import Database

# Longer than any upload takes: an older stage belongs to a process that died.
STAGE_GRACE = timedelta(days=1)


class Tidy(Protocol):
    """What lets go of things that nobody will ask for again."""

    def __call__(self, database: Database, now: datetime, *, dry_run: bool) -> int:
        """How many things. With `dry_run` they are only counted."""


def add_tidying(config: Any, name: str, act: Tidy) -> None:
    """Directive: `act` is called at start and by `hubrepo gc`, before released blobs are swept."""
    config.action(("tidying", name), lambda: config.registry.tidying.update({name: act}))


def tidy(
    registry: Any,
    grace: timedelta = STAGE_GRACE,
    *,
    dry_run: bool = False,
    seconds: float | None = None,
) -> dict[str, int]:
    """Remove what is left over, from processes that died and by the passing of time; how much of what.

    Stages are left alone for `grace`, and never for less than an upload may take. With `dry_run` it
    only counts. Blobs that are released on the way are removed too, and not counted: so both ways the
    figures are the same. Either time, removing blobs ends after so many `seconds`, and the rest waits for
    another sweep; None: it goes on until all are gone.
    """
    moment, database, stores = now(), registry.database, registry.stores
    done = {
        "released blobs": sweep(database, stores, dry_run=True)
        if dry_run
        else sweep_for(seconds, database, stores).blobs
    }
    done |= {name: act(database, moment, dry_run=dry_run) for name, act in registry.tidying.items()}
    before = moment - max(grace, STAGE_GRACE)
    done["stages of dead processes"] = sum(
        store.sweep_stages(before, dry_run=dry_run) for _, store in stores
    )
    if not dry_run:
        sweep_for(seconds, database, stores)
    return done
