"""Those who upload, delete, grant and prune at one moment: nobody gets a 5xx, and nothing is half."""

import hashlib
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from hubrepo.features.artifacts.models import Grant, Token
from hubrepo.kernel.blobs import sweep
from tests.support.filled import findings, keys_of
from tests.support.hub import TokenClient
from tests.support.publishers import until
from tests.support.races import at_once, deadlocks

CROWD = 8
EACH = 5

FINE = {
    "create": {201, 409},
    "upload": {201, 404, 409},
    "withdraw": {204, 404},
    "remove": {204, 404},
    "grant": {201, 404},
    "revoke": {204, 404},
    "prune": {204, 404},
    "register": {201},
    "show": {200, 404},
    "download": {200, 404},
}


@pytest.fixture
def admin(acme):
    return acme.token(admin=True)


@pytest.fixture
def clients(admin):
    """Callers of their own, with one token."""
    return [TokenClient(admin.hub, admin.slug, admin.key) for _ in range(CROWD)]


@pytest.fixture(autouse=True)
def nothing_is_amiss(hub):
    """What is found after a race was there before it, and nobody was in anybody's way."""
    before = set(findings(hub, deep=False))
    with deadlocks(hub) as seen:
        yield
        hub.registry.afterwards.settle()
    assert seen == []
    assert set(findings(hub, deep=False)) - before == set()


def upload(client, version, content, product="engine"):
    fields = [("product", product), ("version", version)]
    content_type, body = client.app.encode_multipart(fields, [("file", "a.bin", content)])
    return client.call("POST", "/product/upload", body, content_type=content_type)


def withdraw(client, version, product="engine"):
    return client.call("DELETE", f"/product/delete/{product}/{version}")


def is_leaving(answer):
    """Whether it was about bytes that were just being removed: one is told to come back, and when."""
    if answer.status_int != 503 or "are just being removed" not in answer.json["error"]:
        return False
    return answer.headers["Retry-After"] == "1"


def statuses(runs):
    """How often each, of those who need not come back."""
    return Counter(each.status_int for run in runs for each in run if not is_leaving(each))


def listed(admin, product="engine"):
    """The versions of a product, by identifier: each comes down as its checksum says."""
    versions = admin.get(f"/product/fetch/{product}").json["versions"]
    for identifier, version in versions.items():
        body = admin.fetched(product, identifier)
        assert f"sha256:{hashlib.sha256(body).hexdigest()}" == version["checksum"]
    return versions


def blobs_of(client):
    """The digests of all bytes that the organisation keeps, once what was released is gone."""
    hub = client.hub
    sweep(hub.registry.database, hub.registry.stores)
    with hub.registry.database.read() as db:
        guid = hub.accounts(db).organisation(client.slug).guid.hex
    keys = (key.split("/", 1) for key in keys_of(hub) if key.startswith(guid))
    return {rest.replace("/", "") for _, rest in keys}


def test_of_uploads_of_one_version_one_wins_and_leaves_no_other_bytes(admin, clients):
    admin.create("engine")
    answers = at_once(
        *(
            lambda c=c, n=n: upload(c, "v1", f"of client {n}".encode())
            for n, c in enumerate(clients)
        )
    )
    assert Counter(each.status_int for each in answers) == {201: 1, 409: CROWD - 1}
    (won,) = (each.json["checksum"] for each in answers if each.status_int == 201)
    assert listed(admin)["v1"]["checksum"] == won
    assert blobs_of(admin) == {won.removeprefix("sha256:")}


def test_a_version_that_is_uploaded_and_deleted_without_end_is_there_or_not(admin, clients):
    """One identifier, and the same two contents again and again: what one lets go of another puts."""
    admin.create("engine")

    def upload_some(client, number):
        content = f"content {number % 2}".encode()
        return [upload(client, "v1", content) for _ in range(EACH)]

    def withdraw_some(client):
        return [withdraw(client, "v1") for _ in range(EACH)]

    uploads, removals = (
        [lambda c=c, n=n: upload_some(c, n) for n, c in enumerate(clients[:5])],
        [lambda c=c: withdraw_some(c) for c in clients[5:]],
    )
    runs = at_once(*uploads, *removals)
    uploaded, withdrawn = statuses(runs[:5]), statuses(runs[5:])
    assert set(uploaded) <= {201, 409}
    assert set(withdrawn) <= {204, 404}
    assert uploaded[201] - withdrawn[204] == len(listed(admin))
    kept = {each["checksum"].removeprefix("sha256:") for each in listed(admin).values()}
    assert blobs_of(admin) == kept


def test_uploads_deletes_and_sweeps_of_the_same_bytes_keep_what_is_live(admin, clients):
    hub, over = admin.hub, threading.Event()
    admin.create("engine")
    for number in range(4):
        admin.put("engine", f"old-{number}", b"the same")

    def sweep_on():
        while not over.is_set():
            sweep(hub.registry.database, hub.registry.stores)

    def upload_some(client, name):
        return [upload(client, f"{name}-{n}", b"the same") for n in range(EACH)]

    def withdraw_some(client):
        return [withdraw(client, f"old-{n}") for n in range(4)]

    with ThreadPoolExecutor(2) as sweepers:
        running = [sweepers.submit(sweep_on) for _ in range(2)]
        try:
            runs = at_once(
                *(lambda c=c, n=n: upload_some(c, n) for n, c in enumerate(clients[:5])),
                *(lambda c=c: withdraw_some(c) for c in clients[5:]),
            )
        finally:
            over.set()
        for each in running:
            each.result()
    uploaded = statuses(runs[:5])
    assert set(uploaded) == {201}
    assert statuses(runs[5:])[204] == 4
    assert len(listed(admin)) == uploaded[201]
    assert blobs_of(admin) == {hashlib.sha256(b"the same").hexdigest()}


def test_products_that_share_their_bytes_are_deleted_at_once(admin, clients):
    """Each has them in an order of its own; who removes them locks them in one."""
    names = [f"p{n}" for n in range(CROWD)]
    contents = [f"content {n}".encode() for n in range(10)]
    for number, name in enumerate(names):
        admin.create(name)
        order = random.Random(number).sample(contents, len(contents))
        for version, content in enumerate(order):
            admin.put(name, f"v{version}", content)
    answers = at_once(
        *(
            lambda c=c, n=n: c.call("DELETE", f"/product/delete/{n}")
            for c, n in zip(clients, names, strict=True)
        )
    )
    assert [each.status_int for each in answers] == [204] * CROWD
    assert admin.get("/product/access").json == []
    assert blobs_of(admin) == set()


def test_products_go_while_their_holders_are_pruned(acme, admin, clients):
    """Every product is granted to every token, in orders that have nothing to do with one another."""
    half, dice = CROWD // 2, random.Random(4)
    for _ in range(EACH):
        names, holders = [f"p{n}" for n in range(half)], [acme.token() for _ in range(half)]
        for name in names:
            admin.create(name)
        pairs = [(name, each) for name in names for each in holders]
        for name, holder in dice.sample(pairs, len(pairs)) + dice.sample(pairs, len(pairs) // 2):
            admin.grant(name, holder, dice.choice(["upload", "download"]))
        answers = at_once(
            *(
                lambda c=c, n=n: c.call("DELETE", f"/product/delete/{n}")
                for c, n in zip(clients[:half], names, strict=True)
            ),
            *(
                lambda c=c, h=h: c.call("DELETE", f"/prune/{h.digest}")
                for c, h in zip(clients[half:], holders, strict=True)
            ),
        )
        assert [each.status_int for each in answers] == [204] * CROWD
    assert admin.get("/product/access").json == []


@pytest.mark.parametrize("ends", ["token", "product"])
def test_grants_are_locked_in_one_order(hub, admin, acme, ends):
    """Whoever waits for the first has not got the second yet, also if it lies before the first."""
    if hub.is_on_sqlite:
        pytest.skip("on SQLite one writes at a time")
    holder, other_holder, spare = (acme.token() for _ in range(3))
    for name in ("p0", "p1"):
        admin.create(name)
    admin.grant("p0", holder)
    admin.grant(*(("p1", holder) if ends == "token" else ("p0", other_holder)))
    database = hub.registry.database
    with database.write() as db:
        ids = {token.digest: token.id for token in db.scalars(select(Token))}
        holders = (ids[holder.digest], ids[other_holder.digest])
        of_these = select(Grant).where(Grant.token_id.in_(holders)).order_by(Grant.id)
        first, second = (each.id for each in db.scalars(of_these))
        # What is written anew lies at the end, of its indexes too if it was another's for a moment.
        for token_id in (ids[spare.digest], ids[holder.digest]):
            db.get(Grant, first).token_id = token_id
            db.flush()
    path = f"/prune/{holder.digest}" if ends == "token" else "/product/delete/p0"
    with ThreadPoolExecutor(1) as other:
        with database.write() as db:
            db.execute(select(Grant.id).where(Grant.id == first).with_for_update())
            waiting = other.submit(admin.call, "DELETE", path)
            until(lambda: _is_waited_for(hub))
            db.execute(select(Grant.id).where(Grant.id == second).with_for_update(nowait=True))
        assert waiting.result().status_int == 204


def _is_waited_for(hub):
    with hub.registry.database.read() as db:
        return db.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))


class Anybody:
    """Does one thing after the other, with few products, versions, contents and tokens to choose from."""

    def __init__(self, client, holders, seed):
        self._client, self._holders, self._dice = client, holders, random.Random(seed)
        self.answers = []

    def __call__(self):
        for _ in range(40):
            act = self._dice.choice(list(FINE) + ["upload"] * 6 + ["withdraw", "create"])
            answer = getattr(self, act)()
            # On SQLite writers take turns, and a slow machine lets some wait for too long.
            is_slow = answer.status_int == 503 and self._client.hub.is_on_sqlite
            if not is_slow and not is_leaving(answer):
                self.answers.append((act, answer))

    def _product(self):
        return f"p{self._dice.randrange(3)}"

    def _version(self):
        return f"v{self._dice.randrange(3)}"

    def create(self):
        return self._client.send_json("PUT", "/product/create", {"name": self._product()}, "*")

    def upload(self):
        content = f"content {self._dice.randrange(3)}".encode()
        return upload(self._client, self._version(), content, self._product())

    def withdraw(self):
        return withdraw(self._client, self._version(), self._product())

    def remove(self):
        return self._client.call("DELETE", f"/product/delete/{self._product()}")

    def grant(self):
        wish = {"product": self._product(), "token": self._dice.choice(self._holders)}
        flags = {"upload": self._dice.random() < 0.5}
        path = "/product/modify/addToken"
        return self._client.send_json("PUT", path, {**wish, "permissions": flags}, "*")

    def revoke(self):
        wish = {"product": self._product(), "token": self._dice.choice(self._holders)}
        return self._client.send_json("DELETE", "/product/modify/deleteToken", wish, "*")

    def prune(self):
        return self._client.call("DELETE", f"/prune/{self._dice.choice(self._holders)}")

    def register(self):
        answer = self._client.send_json("PUT", "/register", {}, "*")
        self._holders.append(hashlib.sha256(answer.body).hexdigest())
        return answer

    def show(self):
        return self._client.call("GET", f"/product/fetch/{self._product()}")

    def download(self):
        return self._client.call("GET", f"/product/download/{self._product()}/{self._version()}")


def test_everything_at_once(acme, admin, clients):
    holders = [acme.token().digest for _ in range(4)]
    crowd = [Anybody(client, holders, seed) for seed, client in enumerate(clients)]
    at_once(*crowd)
    answers = [each for one in crowd for each in one.answers]
    strange = [(act, each) for act, each in answers if each.status_int not in FINE[act]]
    assert strange == []
    assert {act for act, _ in answers} == set(FINE)
    kept = set()
    for name in admin.get("/product/access").json:
        versions = listed(admin, name).values()
        kept |= {each["checksum"].removeprefix("sha256:") for each in versions}
        for digest in admin.get(f"/product/fetch/{name}").json["tokens"]:
            admin.get(f"/fetch/{digest}")
    assert blobs_of(admin) == kept
