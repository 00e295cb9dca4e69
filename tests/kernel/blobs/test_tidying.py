"""What a feature lets go of with time is let go of at start, and by `hubrepo gc`."""

from datetime import timedelta

import pytest
from click.testing import CliRunner
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationConflictError
from sqlalchemy import func, select, update

import hubrepo
from hubrepo import cli
from hubrepo.features.pages.models import Publication
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob, doom, tidy
from hubrepo.kernel.db import Database


def feature(name, act):
    """A feature that tidies."""

    def include(config):
        config.add_tidying(name, act)

    include.__qualname__ = include.__name__ = f"include_{id(include)}"
    return include


def gc(hub, tmp_path, *arguments):
    """The output of `hubrepo gc`."""
    lines = "".join(f"{key} = {value}\n" for key, value in hub.settings.items())
    (tmp_path / "hub.ini").write_text(f"[app:main]\nuse = egg:hubrepo\n{lines}")
    result = CliRunner().invoke(cli.main, ["-c", str(tmp_path / "hub.ini"), "gc", *arguments])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_it_is_done_at_start_and_by_the_command_and_told(hub, tmp_path, monkeypatch):
    calls = []

    def act(database, moment, *, dry_run):
        calls.append((type(database), before <= moment <= now(), dry_run))
        return 7

    monkeypatch.setattr(hubrepo, "FEATURES", (*hubrepo.FEATURES, feature("crumbs", act)))
    before = now()
    hubrepo.main({}, **hub.settings).registry.database.close()
    assert "7 crumbs removed" in gc(hub, tmp_path)
    assert calls == [(Database, True, False)] * 2
    assert "7 crumbs would be removed" in gc(hub, tmp_path, "--dry-run")
    assert calls[2:] == [(Database, True, True)]


@pytest.mark.backend
def test_what_is_let_go_of_is_swept_at_once(hub):
    acme = hub.organisation()
    acme.publish_page("site", {"index.html": "one"})

    def let_go(database, moment, *, dry_run):
        with database.write() as db:
            ids = list(db.scalars(select(Publication.blob_id)))
            # Only what nothing refers to any more is removed.
            doom(db, ids, moment)
        return len(ids)

    hub.registry.tidying["everything"] = let_go
    assert tidy(hub.registry) == {
        "old publications": 0,
        "everything": 1,
        "stages of dead processes": 0,
        "released blobs": 0,
    }
    with hub.registry.database.read() as db:
        assert db.scalar(select(func.count(Blob.id))) == 1
    assert acme.visit("site/").text == "one"


def test_publications_that_were_kept_long_enough_go_with_their_bytes(hub, tmp_path):
    acme = hub.organisation()
    for number in range(3):
        acme.publish_page("site", {"index.html": str(number)})
    # Kept for ninety days, unless the settings say otherwise.
    with hub.registry.database.write() as db:
        for number, days in ((1, 91), (2, 89)):
            which = update(Publication).where(Publication.number == number)
            db.execute(which.values(retired_at=now() - timedelta(days=days)))
    assert "1 old publications removed" in gc(hub, tmp_path)
    kept = acme.get("/api/pages/site/publications").json
    assert [each["publication"] for each in kept] == [3, 2]
    assert len(list(hub.registry.stores.main.list())) == 2
    assert acme.visit("site/").text == "2"


def test_two_claims_to_one_name_fail_at_boot(hub):
    config = Configurator(settings=hub.settings)
    config.include("hubrepo.kernel")
    for _ in range(2):
        config.include(feature("crumbs", lambda *_: 0))
    with pytest.raises(ConfigurationConflictError):
        config.commit()
    config.registry.database.close()
