"""Promise: a page of the listing costs what it shows, however many packages there are.

`GET /api/packages?limit=50` in an organisation of 10,000 packages is compared with the same request
where there are just 50, and `?limit=10` among 10,000 with the whole listing of an organisation of
10: so both sides of each pair answer the same number of packages, and none may cost more than 1.3
times the other. Every package has two versions. Each organisation is in a hub of its own, in a
process and a database of its own; all have their turn in every round; medians are compared. A page
from the middle of the 10,000 is shown beside them.
"""

import base64
import time
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import insert, select
from support import Verdict, folder, take_turns

from hubrepo.features.packages.models import LATEST, Alias, Package, Version
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import now
from hubrepo.kernel.db import Database
from tests.support.process import HubProcess, Wire

SIZES = (10, 50, 10_000)
REQUESTS = 100
MIDDLE = base64.urlsafe_b64encode(b"package-05000").decode().rstrip("=")


def fill(hub: HubProcess, packages: int) -> None:
    """Give the hub's organisation that many packages, two versions each."""
    database, instant = Database(hub.database_url), now()
    with database.write() as db:
        own = {"organisation_id": db.scalar(select(Organisation.id))}
        numbers = range(1, packages + 1)
        db.execute(
            insert(Package),
            [
                {**own, "id": n, "name": f"package-{n:05}", "created_at": instant, "head": 2}
                for n in numbers
            ],
        )
        db.execute(
            insert(Version),
            [
                {
                    **own,
                    "package_id": n,
                    "number": number,
                    "author": "ann",
                    "summary": f"What changed in version {number}",
                    "description": "",
                    "published_at": instant,
                    "published_by": "service",
                    "digest": f"{n * 2 + number:064x}",
                    "size": 1000,
                    "tombstone_reason": "",
                }
                for n in numbers
                for number in (1, 2)
            ],
        )
        db.execute(
            insert(Alias),
            [
                {**own, "package_id": n, "name": LATEST, "number": 2, "updated_at": instant}
                for n in numbers
            ],
        )
    database.engine.dispose()


def milliseconds(wire: Wire, path: str, expected: int) -> float:
    """What one request costs, on average of many in a row."""
    assert len(wire.ask("GET", path).json) == expected
    started = time.perf_counter()
    for _ in range(REQUESTS):
        wire.ask("GET", path)
    return (time.perf_counter() - started) / REQUESTS * 1000


def wire_to_hub_of(stack: ExitStack, place: Path, packages: int) -> Wire:
    hub = stack.enter_context(HubProcess(place / str(packages)))
    fill(hub, packages)
    return stack.enter_context(hub.wire())


def main() -> None:
    verdict = Verdict("the first page of a listing, by number of packages")
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        ten, fifty, many = (wire_to_hub_of(stack, place, size) for size in SIZES)
        cost = take_turns(
            {
                "10 of 10": lambda: milliseconds(ten, "/api/packages", 10),
                "10 of 10,000": lambda: milliseconds(many, "/api/packages?limit=10", 10),
                "50 of 50": lambda: milliseconds(fifty, "/api/packages?limit=50", 50),
                "50 of 10,000": lambda: milliseconds(many, "/api/packages?limit=50", 50),
                "50 from the middle of 10,000": lambda: milliseconds(
                    many, f"/api/packages?limit=50&cursor={MIDDLE}", 50
                ),
            }
        )
    for name, value in cost.items():
        verdict.show(name, value, "ms")
    verdict.at_most("10 of 10,000 / 10 of 10", cost["10 of 10,000"] / cost["10 of 10"], 1.3)
    verdict.at_most("50 of 10,000 / 50 of 50", cost["50 of 10,000"] / cost["50 of 50"], 1.3)
    verdict.close()


if __name__ == "__main__":
    main()
