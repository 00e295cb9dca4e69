"""The shape of the application: what it is made of can be taken out, and what collides is found at boot."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pyramid.exceptions import ConfigurationConflictError
from sqlalchemy import Select, UniqueConstraint

import hubrepo
from hubrepo.features.packages import catalogue as packages
from hubrepo.features.pages import addresses
from hubrepo.features.pages import catalogue as pages
from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.db import Base
from hubrepo.kernel.security import OrganisationResource
from hubrepo.kernel.web import Resource
from tests.support.features import HAS_ARTIFACTS
from tests.support.hub import Client, Hub

# What reads, by feature, and how many statements of its own it has at least.
READERS = [(packages, 8), (pages, 7), (addresses, 2)]
if HAS_ARTIFACTS:
    from hubrepo.features.artifacts import catalogue as artifacts

    READERS.append((artifacts, 7))

ROOT = Path(hubrepo.__file__).parent

KERNEL = {
    "base", "db", "web", "audit", "accounts", "blobs", "archives", "security", "serving", "idempotency",
    "transfer", "openapi",
}  # fmt: skip
FILES_OF_A_FEATURE = {
    "__init__.py", "permissions.py", "settings.py", "models.py", "errors.py", "events.py", "schemas.py",
    "services.py", "resources.py", "presenters.py", "views.py", "panels.py", "templates", "migrations",
    "checks.py", "description.py", "commands.py",
}  # fmt: skip
# Names of their own, and why a reader would accept them.
MORE_FILES = {
    "artifacts": {"catalogue.py", "credentials.py", "health.py", "tokens.py"},
    "packages": {"catalogue.py", "drafts.py", "history.py", "manifest.py"},
    "pages": {
        "addresses.py", "bundles.py", "catalogue.py", "conventions.py", "rules.py", "visits.py",
    },
}  # fmt: skip


def folders(parent: Path) -> set[str]:
    return {path.name for path in parent.iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_the_kernel_has_the_parts_that_the_design_names():
    assert folders(ROOT / "kernel") == KERNEL


def test_a_feature_has_the_usual_files_and_is_in_the_table_of_contents():
    features = folders(ROOT / "features")
    assert {f"hubrepo.features.{name}" for name in features} == set(hubrepo.FEATURES)
    for feature in features:
        names = {path.name for path in (ROOT / "features" / feature).iterdir()} - {"__pycache__"}
        assert names - FILES_OF_A_FEATURE == MORE_FILES.get(feature, set())


@pytest.mark.long
@pytest.mark.parametrize("feature", hubrepo.FEATURES)
def test_the_application_starts_without(feature, tmp_path, monkeypatch):
    rest = tuple(each for each in hubrepo.FEATURES if each != feature)
    monkeypatch.setattr(hubrepo, "FEATURES", rest)
    hub = Hub.below(tmp_path)
    client = hub.organisation()
    assert hub.app().get("/_ah/health").json["status"] == "ok"
    for path in ("/api/packages", "/api/log"):
        assert client.call("GET", path).status_code in {200, 404}
    hub.registry.database.close()


@pytest.mark.backend
def test_migrations_make_the_tables_that_the_models_describe(hub: Hub):
    with hub.registry.database.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_every_feature_table_belongs_to_an_organisation_in_its_unique_constraints():
    for table in Base.metadata.tables.values():
        if table.name.startswith(("packages_", "pages_", "artifacts_")):
            assert "organisation_id" in table.columns, table.name
            uniques = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
            if "id" not in table.columns:
                uniques.append(table.primary_key)
            assert uniques, table.name
            for each in uniques:
                names = [*each.columns.keys()]
                # A credential is looked up before it is known whose it is.
                is_credential = (table.name, names) == ("artifacts_token", ["digest"])
                assert is_credential or "organisation_id" in names, table.name


def test_every_statement_that_reads_asks_for_an_organisation():
    for module, least in READERS:
        statements = {name: each for name, each in vars(module).items() if isinstance(each, Select)}
        assert len(statements) >= least
        for name, statement in statements.items():
            assert {"owner", "slug"} & statement.compile().params.keys(), name


def settings(tmp_path: Path, **more: str) -> dict[str, str]:
    rows = {"hubrepo.database": f"sqlite:///{tmp_path}/hub.sqlite", "hubrepo.blobs": "mem://"}
    return rows | {f"hubrepo.{key.replace('__', '.')}": value for key, value in more.items()}


def test_two_claims_to_one_name_fail_at_boot(tmp_path):
    config = hubrepo.configure(settings(tmp_path))
    for _ in range(2):
        config.add_mount(OrganisationResource, "twice", Resource)
    with pytest.raises(ConfigurationConflictError):
        config.commit()


def test_a_hub_that_cannot_start_says_why_in_one_sentence(tmp_path):
    unknown = r"hubrepo\.upload\.max_size is not a setting of the hub"
    with pytest.raises(Misconfigured, match=unknown):
        hubrepo.configure(settings(tmp_path, upload__max_size="5"))
    unset = r"^hubrepo cannot start: hubrepo\.database is not set: .*HUBREPO_DATABASE"
    with pytest.raises(SystemExit, match=unset):
        hubrepo.main({}, **{"hubrepo.blobs": "mem://"})
    with pytest.raises(SystemExit, match="run `hubrepo -c INI init`"):
        hubrepo.main({}, **settings(tmp_path))


def test_a_url_behind_a_view_is_another_url(acme: Client):
    acme.publish("widget")
    for path in ("packages/widget/history/x", "packages/widget/versions/1/download/x/y"):
        acme.get(f"/api/{path}", 404)
    acme.get("/_ah/health/x", 404)
