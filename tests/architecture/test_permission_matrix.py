"""Who may do what: every view by every kind of credential, tried, and compared with a checked-in table.

The views come from the application itself, so a new one without a row fails here. After a change
that is meant, write the table anew: `pytest tests/architecture --write`, and read its diff.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hubrepo.features.organisation import resources as organisation
from hubrepo.features.packages import resources as packages
from hubrepo.features.pages import resources as pages
from hubrepo.kernel.accounts import ApiKey
from hubrepo.kernel.web.operations import OperationsResource
from tests.support.hub import Client, Hub

TABLE = Path(__file__).with_name("permission_matrix.txt")

# Where a node of each type is found in the organisation that `prepared` makes.
PATHS = {
    OperationsResource: "/_ah",
    packages.PackagesResource: "/api/packages",
    packages.PackageResource: "/api/packages/widget",
    packages.VersionsResource: "/api/packages/widget/versions",
    packages.VersionResource: "/api/packages/widget/versions/1",
    packages.AliasesResource: "/api/packages/widget/aliases",
    packages.AliasResource: "/api/packages/widget/aliases/stable",
    pages.PagesResource: "/api/pages",
    pages.PageResource: "/api/pages/docs",
    pages.PublicationsResource: "/api/pages/docs/publications",
    pages.PublicationResource: "/api/pages/docs/publications/1",
    pages.ForgetResource: "/api/pages/docs/publications/1/forget",
    pages.RollbackResource: "/api/pages/docs/rollback",
    pages.DifferenceResource: "/api/pages/docs/publications/1/diff/1",
    pages.PublishedResource: "/pages/{slug}/docs/",
    organisation.SelfResource: "/api/organisation",
    organisation.KeysResource: "/api/keys",
    organisation.KeyResource: "/api/keys/kpf_00000000",
    organisation.MembersResource: "/api/members",
    organisation.MemberResource: "/api/members/nobody",
    organisation.LogResource: "/api/log",
}

SAFE = {"GET", "HEAD", "OPTIONS"}
CREDENTIALS = (
    "none", "malformed", "unknown", "revoked", "expired", "former", "inactive",
    "stranger", "read", "publish", "admin", "user", "full",
)  # fmt: skip


def prepared(hub: Hub) -> Client:
    """An organisation with a package, a version, an alias and a page."""
    client = hub.organisation()
    client.publish("widget")
    client.send_json("PUT", "/api/packages/widget/aliases/stable", {"version": 1})
    client.publish_page("docs")
    return client


def credential(hub: Hub, owner: Client, kind: str) -> Client:
    """A caller of that kind; `stranger` is a good key of another organisation."""
    if kind == "stranger":
        return hub.organisation()
    if kind in {"read", "publish", "admin"}:
        return Client(hub, owner.slug, hub.issue_key(owner.slug, scopes=[kind]))
    if kind in {"user", "former", "inactive"}:
        name = f"{kind}-{owner.slug}"
        client = Client(hub, owner.slug, hub.issue_key(owner.slug, user=name))
        with hub.registry.database.write() as db:
            accounts = hub.accounts(db)
            if kind == "former":
                accounts.remove_member(accounts.organisation(owner.slug), name)
            elif kind == "inactive":
                accounts.set_active(name, active=False)
        return client
    if kind in {"revoked", "expired"}:
        client = Client(hub, owner.slug, hub.issue_key(owner.slug))
        with hub.registry.database.write() as db:
            key = db.query(ApiKey).filter_by(prefix=client.key.split("_")[1]).one()
            moment = datetime.now(UTC) - timedelta(hours=1)
            setattr(key, "revoked_at" if kind == "revoked" else "expires_at", moment)
        return client
    keys = {
        "none": "",
        "malformed": "kpf_nonsense",
        "unknown": "kpf_00000000_" + "A" * 43,
        "full": owner.key,
    }
    return Client(hub, owner.slug, keys[kind])


def statuses(hub: Hub, method: str, path: str, readers: Mapping[str, Client]) -> Iterator[int]:
    """What each kind of caller is answered; who may change something has something of their own."""
    for kind in CREDENTIALS:
        owner = readers["full"] if method in SAFE else prepared(hub)
        caller = readers[kind] if method in SAFE else credential(hub, owner, kind)
        yield caller.call(method, path.format(slug=owner.slug)).status_code


def matrix(hub: Hub) -> str:
    owner, rows = prepared(hub), []
    readers = {kind: credential(hub, owner, kind) for kind in CREDENTIALS}
    for context, name, method, permission in hub.registry.methods:
        assert context in PATHS, f"{context.__name__} has no path here: add one"
        path = PATHS[context] + (f"/{name}" if name else "")
        rows.append((path, method, permission or "(nobody)"))
    width = max(len(path) for path, _, _ in rows)
    lines = [f"{'':{width + 8}}{'':24}" + " ".join(f"{kind:>9}" for kind in CREDENTIALS)]
    for path, method, permission in sorted(rows):
        answers = " ".join(f"{each:9}" for each in statuses(hub, method, path, readers))
        lines.append(f"{path:{width}} {method:<7}{permission:24}{answers}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def test_every_view_answers_every_credential_as_the_table_says(
    hub: Hub, pytestconfig: pytest.Config
):
    tried = matrix(hub)
    if pytestconfig.getoption("--write"):
        TABLE.write_text(tried)
    assert tried == TABLE.read_text()


def test_no_view_is_open_by_accident(hub: Hub):
    """Only what runs the hub, and what is published, is open to everybody."""
    from pyramid.security import NO_PERMISSION_REQUIRED

    open_to_all = {
        context
        for context, _, _, permission in hub.registry.methods
        if permission == NO_PERMISSION_REQUIRED
    }
    assert open_to_all == {OperationsResource, pages.PublishedResource}


def test_every_permission_is_granted_to_some_role(hub: Hub):
    granted = {
        permission for permissions in hub.registry.grants.values() for permission in permissions
    }
    asked = {
        permission
        for context, _, _, permission in hub.registry.methods
        if context not in {OperationsResource, pages.PublishedResource}
    }
    assert asked == granted
