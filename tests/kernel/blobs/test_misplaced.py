"""A disk that is not mounted, or a line that names another place, stops the start."""

import shutil

import pytest
from click.testing import CliRunner

import hubrepo
from hubrepo import cli
from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.blobs import DiskStore, StoreUnavailable, sweep
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


def test_a_hub_whose_bytes_are_there_starts(settings):
    start(settings)


@pytest.mark.parametrize("line", ["hubrepo.blobs", "hubrepo.pages"])
def test_a_disk_that_is_not_mounted_stops_the_start_and_the_line_is_named(settings, line):
    place = settings[line].removeprefix("osfs://")
    shutil.rmtree(place)
    with pytest.raises(SystemExit, match=f"^hubrepo cannot start: {line} names a place that has"):
        start(settings)


def test_commands_work_all_the_same_and_a_backup_brings_the_bytes_back(settings, tmp_path):
    ini, place = tmp_path / "hub.ini", tmp_path / "blobs"
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    ini.write_text(f"[app:main]\nuse = egg:hubrepo\n{lines}")

    def run(*arguments):
        return CliRunner().invoke(cli.main, ["-c", str(ini), *arguments])

    assert run("backup", str(tmp_path / "copy")).exit_code == 0
    shutil.rmtree(place)
    assert ": 1 missing." in run("check").output
    copied = run("copy-store", f"osfs://{tmp_path}/copy/blobs", f"osfs://{place}")
    assert copied.exit_code == 0, copied.output
    assert run("check").output.endswith("looked up: 1 unknown.\n")
    start(settings)


def test_another_place_is_not_right_because_something_lies_there(settings, tmp_path):
    """As with a prefix that is cut short: what lies there is of nobody here."""
    above = tmp_path / "above"
    shutil.copytree(tmp_path / "blobs", above / "blobs")
    with pytest.raises(SystemExit, match=r"hubrepo\.blobs names a place"):
        start(settings | {"hubrepo.blobs": f"osfs://{above}"})


def test_a_prefix_on_s3_that_is_misspelled_stops_the_start(settings, s3):
    with pytest.raises(SystemExit, match=r"hubrepo\.blobs names a place"):
        start(settings | {"hubrepo.blobs": s3_url(s3)})


def test_memory_is_empty_at_every_start(settings):
    del settings["hubrepo.pages"]
    start(settings | {"hubrepo.blobs": "mem://"})


def test_a_hub_with_nothing_starts_anywhere(tmp_path):
    hub = Hub.below(tmp_path)
    hub.organisation()
    hub.registry.database.close()
    shutil.rmtree(tmp_path / "blobs")
    start(dict(hub.settings))


def test_what_was_released_may_be_gone(tmp_path):
    hub = Hub.below(tmp_path, pages__keep_publications="0")
    acme = hub.organisation()
    acme.publish_page("site")
    acme.delete("/api/pages/site", status=204)
    registry = hub.registry
    registry.afterwards.settle()
    sweep(registry.database, registry.stores)
    registry.stores.look_for_bytes(registry.database)
    registry.database.close()


def test_an_organisation_that_lost_its_bytes_stops_nobody_else(tmp_path):
    hub = Hub.below(tmp_path)
    acme, beta = hub.organisation(), hub.organisation()
    acme.publish("widget")
    beta.publish("widget")
    store = hub.registry.stores.main
    one, other = store.list()
    store.delete(one.key)
    hub.registry.stores.look_for_bytes(hub.registry.database)
    store.delete(other.key)
    with pytest.raises(Misconfigured):
        hub.registry.stores.look_for_bytes(hub.registry.database)
    hub.registry.database.close()


def test_what_is_slow_at_that_moment_is_no_wrong_place(settings, monkeypatch):
    def silent(*_):
        raise StoreUnavailable

    monkeypatch.setattr(DiskStore, "list", silent)
    start(settings)
