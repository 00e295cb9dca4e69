"""Promise: reading a product costs what it shows, however many products there are.

`GET /product/fetch` of a product with 20 versions among 500 such products is compared with the same
request where it is the only one, with a token that was granted all of them and with an admin's; none
may cost more than 1.3 times the other. Each organisation is in a hub of its own, in a process and a
database of its own; all have their turn in every round; medians are compared. Before each request
somebody commits something, so nothing is answered from memory. What `GET /product/access` costs,
with 500 names and with one, is shown beside them.
"""

import time
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import update
from support import Verdict, folder, take_turns

from hubrepo.features.artifacts.models import Token
from hubrepo.kernel.db import Database
from tests.support.process import HubProcess
from tests.support.stocked import stock
from tests.support.uploads import TokenWire, first_admin

VERSIONS, REQUESTS = 20, 100
WHO = ("holder", "admin")


class Side:
    """A hub with so many products, and those who read them."""

    def __init__(self, stack: ExitStack, place: Path, products: int) -> None:
        self.products = products
        hub = stack.enter_context(HubProcess(place / str(products)))
        admin = first_admin(hub)
        self.wires = {"admin": stack.enter_context(TokenWire(hub.port, admin))}
        holder = self.wires["admin"].register()
        self.wires["holder"] = stack.enter_context(TokenWire(hub.port, holder))
        self.database = Database(hub.database_url)
        stack.callback(self.database.close)
        with self.database.write() as db:
            stock(db, "acme", holder, products, VERSIONS)

    def milliseconds(self, who: str, path: str) -> float:
        """What one request costs, on average of many in a row."""
        wire, spent = self.wires[who], 0.0
        for number in range(REQUESTS):
            with self.database.write() as db:
                db.execute(update(Token).values(label=str(number)))
            started = time.perf_counter()
            answer = wire.ask("GET", path)
            spent += time.perf_counter() - started
            assert answer.status == 200
        return spent / REQUESTS * 1000

    def fetch(self, who: str) -> float:
        """A product."""
        return self.milliseconds(who, f"/product/fetch/product-{self.products // 2}")


def main() -> None:
    verdict = Verdict("reading a product with 20 versions, by number of products")
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        one, many = (Side(stack, place, products) for products in (1, 500))
        cost = take_turns(
            {f"{who}: fetch, 1 product": lambda who=who: one.fetch(who) for who in WHO}
            | {f"{who}: fetch, 500 products": lambda who=who: many.fetch(who) for who in WHO}
            | {
                f"{who}: access, {side.products} names": lambda who=who, side=side: (
                    side.milliseconds(who, "/product/access")
                )
                for who in WHO
                for side in (one, many)
            }
        )
    for name, value in cost.items():
        verdict.show(name, value, "ms")
    for who in WHO:
        ratio = cost[f"{who}: fetch, 500 products"] / cost[f"{who}: fetch, 1 product"]
        verdict.at_most(f"{who}: fetch among 500 / alone", ratio, 1.3)
    verdict.close()


if __name__ == "__main__":
    main()
