"""`hubrepo gc --grace 0`, again and again in one process, until SIGTERM.

python -m tests.support.collector INI
"""

import json
import signal
import sys
import threading
from collections import Counter
from datetime import timedelta

from sqlalchemy.exc import OperationalError

from hubrepo.cli import Command
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import adopt_orphans, tidy


def main(ini: str) -> None:
    """Collect until SIGTERM, then print figures as JSON."""
    over, done = threading.Event(), Counter[str]()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    registry = Command(ini).prepared()
    print("collecting", flush=True)
    while not (over.is_set() and done["rounds"]):
        done["rounds"] += 1
        try:
            orphans = adopt_orphans(registry.database, registry.stores, now())
            done["adopted"] += orphans.adopted
            done.update(tidy(registry, timedelta(0)))
        except OperationalError:
            # Others were writing for too long: the next round does it.
            done["busy"] += 1
    print(json.dumps(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
