"""A disk that is not mounted, or a line that names another place, stops the start."""

import shutil

import pytest
from click.testing import CliRunner

import hubrepo
from hubrepo import cli
from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.blobs import DiskStore, StoreUnavailable
from tests.support.filled import s3_url
from tests.support.hub import Hub


@pytest.fixture
def settings(tmp_path):
    """Those of a hub that has a package and a page, each in a store of its own."""
    hub = Hub.below(tmp_path, pages=f"osfs://{tmp_path}/pages")
    acme = hub.organisation()
    acme.publish("widget")
    acme.publish_page("site")
    hub.registry.database.close()
    return dict(hub.settings)


def start(settings):
    application = hubrepo.main({}, **settings)
    application.registry.database.close()


def refused(settings, line="hubrepo.blobs"):
    with pytest.raises(SystemExit, match=f"^hubrepo cannot start: {line} names a place that has"):
        start(settings)


def test_a_disk_that_is_not_mounted_stops_the_start_until_it_is_back(settings, tmp_path):
    """Commands work all the same."""
    ini = tmp_path / "hub.ini"
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    ini.write_text(f"[app:main]\nuse = egg:hubrepo\n{lines}")

    def run(*arguments):
        return CliRunner().invoke(cli.main, ["-c", str(ini), *arguments])

    start(settings)
    assert run("backup", str(tmp_path / "copy")).exit_code == 0
    shutil.rmtree(tmp_path / "pages")
    refused(settings, "hubrepo.pages")
    shutil.rmtree(tmp_path / "blobs")
    refused(settings)
    assert ": 2 missing." in run("check").output
    copied = run("copy-store", f"osfs://{tmp_path}/copy/blobs", f"osfs://{tmp_path}/blobs")
    assert copied.exit_code == 0, copied.output
    del settings["hubrepo.pages"]
    start(settings)


def test_another_place_is_not_right_because_something_lies_there(settings, tmp_path):
    """As with a prefix that is cut short: what lies there is of nobody here."""
    shutil.copytree(tmp_path / "blobs", tmp_path / "above" / "blobs")
    refused(settings | {"hubrepo.blobs": f"osfs://{tmp_path}/above"})


@pytest.mark.long
def test_a_prefix_on_s3_that_is_misspelled_stops_the_start(settings, s3):
    refused(settings | {"hubrepo.blobs": s3_url(s3)})


def test_memory_is_empty_at_every_start_and_a_hub_with_nothing_starts_anywhere(settings, tmp_path):
    del settings["hubrepo.pages"]
    start(settings | {"hubrepo.blobs": "mem://"})
    hub = Hub.below(tmp_path / "empty")
    hub.organisation()
    hub.registry.database.close()
    shutil.rmtree(tmp_path / "empty" / "blobs")
    start(dict(hub.settings))


def test_released_bytes_may_be_gone_and_those_of_some_organisations(hub, database, stores):
    clients = [hub.organisation() for _ in range(3)]
    for acme in clients:
        acme.publish("widget")
    reason = {"reason": "leaked"}
    for _ in clients[1:]:
        stores.look_for_bytes(database)
        stores.main.delete(next(stores.main.list()).key)
    stores.look_for_bytes(database)
    stores.main.delete(next(stores.main.list()).key)
    with pytest.raises(Misconfigured):
        stores.look_for_bytes(database)
    for acme in clients:
        acme.send_json("DELETE", "/api/packages/widget/versions/1", reason, status=200)
    stores.look_for_bytes(database)


def test_what_is_slow_at_that_moment_is_no_wrong_place(settings, monkeypatch):
    def silent(*_):
        raise StoreUnavailable

    monkeypatch.setattr(DiskStore, "list", silent)
    start(settings)
