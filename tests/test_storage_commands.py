"""The commands that look after what is kept: as operators and their cron call them."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.blobs import key_of
from tests.support.archives import package_zip
from tests.support.commands import INI, Commands
from tests.support.filled import (
    READABLE,
    assert_readable,
    client_of,
    fill,
    findings,
    keys_of,
    put,
    rows_of,
    s3_url,
)
from tests.support.hub import Hub
from tests.support.process import Wire

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def built(request, tmp_path_factory):
    """A folder with a hub that is full, to be copied, and a client of its first organisation."""
    run = Commands(tmp_path_factory.mktemp("built")).initialise()
    hub = run.open(request)
    client, *_ = fill(hub)
    hub.registry.database.close()
    return run.folder, client


@pytest.fixture
def run(built, tmp_path):
    return Commands(shutil.copytree(built[0], tmp_path / "hub"))


@pytest.fixture
def hub(run, request):
    return run.open(request)


@pytest.fixture
def acme(built, hub):
    return client_of(hub, built[1])


@pytest.fixture
def other(tmp_path):
    """Another hub, which is initialised."""
    return Commands(tmp_path / "other").initialise()


def whole(hub):
    """All blobs of a hub, as commands count them."""
    stored = list(hub.registry.stores.main.list())
    return f"{len(stored)} blobs ({sum(each.size for each in stored)} bytes)"


def fail(*_):
    raise OSError(5, "Input/output error")


class TestCheck:
    """0: all is well; 1: damage; 2: it could not look; 3: only left-overs."""

    def test_all_is_well(self, run, hub):
        assert run("check") == f"Checked {whole(hub)}, looked up: all is well.\n"
        assert run("check --deep") == f"Checked {whole(hub)}, read and hashed: all is well.\n"

    def test_damage(self, run, hub):
        first, second, *_ = keys_of(hub)
        put(hub, first, b"cut")
        hub.registry.stores.main.delete(second)
        said = run("check", ends=1)
        assert f"truncated: {first}: 3 bytes instead of" in said
        assert f"missing: {second}: the store 'blobs' does not have it" in said
        assert said.endswith(": 1 missing, 1 truncated.\n")
        *found, last = [json.loads(line) for line in run("check --json", ends=1).splitlines()]
        kinds = {each["subject"]: each["kind"] for each in found}
        assert kinds == {first: "truncated", second: "missing"}
        checked = last["checked"]
        assert (checked["found"], checked["deep"]) == ({"missing": 1, "truncated": 1}, False)
        assert checked["blobs"] == len(keys_of(hub)) + 1

    def test_left_overs_and_flipped_bits_which_only_a_deep_one_finds(self, run, hub):
        put(hub, "notes.txt", b"mine")
        path = run.folder / "blobs" / keys_of(hub)[0]
        path.write_bytes(bytes(path.stat().st_size))
        told = "unknown: notes.txt: 4 bytes whose name is not that of a blob\n"
        assert run("check", ends=3).startswith(told)
        assert "its bytes are not those that its name says" in run("check --deep", ends=1)

    def test_what_cannot_be_looked_at(self, run, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr("hubrepo.kernel.blobs.checking.is_whole", fail)
            assert "Input/output error" in run.refuses("check --deep", ends=2)
        (run.folder / "hub.sqlite").write_bytes(b"not a database at all" * 100)
        assert "could not check: " in run.refuses("check", ends=2)
        run.ini.write_text(run.ini.read_text().replace("osfs://%(here)s", "osfs:///dev/null"))
        assert "cannot be written" in run.refuses("check", ends=2)
        run.ini.unlink()
        assert "there is no " in run.refuses("check", ends=2)
        assert "hubrepo -c INI init" in Commands(tmp_path / "new").refuses("check", ends=2)


def test_gc_removes_what_its_dry_run_said_and_nothing_young(run, hub, acme):
    with hub.registry.database.read() as db:
        guid = db.scalar(select(Organisation.guid).where(Organisation.slug == acme.slug)).hex
    put(hub, key_of(guid, "a" * 64), b"orphan")
    put(hub, key_of("f" * 32, "a" * 64), b"of nobody")
    assert "0 blobs (0 bytes) without a row removed\n" in run("gc")
    left = run.folder / "blobs" / ".stage" / "left"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    run.ini.write_text(run.ini.read_text() + "hubrepo.pages.keep_publications = 0\n")
    before = rows_of(hub), keys_of(hub)
    told = run("gc --grace 0 --dry-run")
    assert (rows_of(hub), keys_of(hub)) == before
    assert left.exists()
    done = run("gc --grace 0")
    assert done == told.replace("would be removed", "removed")
    for line in (
        "1 blob (6 bytes) without a row removed",
        "1 stages of dead processes removed",
        "6 old publications removed",
        "1 files are of no organisation, and were left alone",
    ):
        assert f"{line}\n" in done
    again = run("gc --grace 0")
    assert "0 blobs (0 bytes) without a row removed\n" in again
    assert "0 old publications removed\n" in again
    assert {each.kind for each in findings(hub)} == {"unknown"}
    assert assert_readable(hub, acme) == READABLE


class TestBackup:
    """`backup` and `restore`."""

    def test_there_and_back(self, request, run, other, hub, acme, tmp_path):
        copy, blobs = tmp_path / "copy", whole(hub)
        rows = sum(map(len, rows_of(hub).values()))
        assert run(f"backup {copy}") == (
            f"Backed up {rows} rows and {blobs}: {blobs} copied, "
            "0 removed that no row tells of any more.\n"
        )
        assert f"{blobs}: 0 blobs (0 bytes) copied" in run(f"backup {copy}")
        assert other(f"restore {copy}") == f"Restored {rows} rows and {blobs}.\n"
        assert other("check --deep").endswith("all is well.\n")
        there = client_of(other.open(request), acme)
        assert assert_readable(there.hub, there) == READABLE
        assert "the database is not empty" in other.refuses(f"restore {copy}")
        bare = Commands(tmp_path / "bare")
        assert bare(f"restore {copy}").startswith("Restored "), "it needs no database yet"

    def test_what_is_damaged_is_told(self, run, other, hub, tmp_path):
        key = keys_of(hub)[0]
        put(hub, key, b"cut")
        told = f"damaged or missing: {key}\n"
        assert told in run(f"backup {tmp_path}/copy", ends=1)
        assert other(f"restore {tmp_path}/copy", ends=1).startswith("Restored ")
        said = run(f"copy-store osfs://{run.folder}/blobs osfs://{tmp_path}/new", ends=1)
        assert told in said
        assert "Every blob is" not in said

    def test_what_is_no_backup(self, run, other, tmp_path):
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").write_text("")
        for what in ("nothing", "empty"):
            assert "is no backup" in other.refuses(f"restore {tmp_path}/{what}")
        for command in ("restore", "backup"):
            assert other.run(f"{command} {tmp_path}/file").exit_code == 2
        assert "which is of no backup" in run.refuses(f"backup {tmp_path}")

    def test_one_that_is_killed_leaves_the_one_before(self, run, acme, other, tmp_path):
        """Unlike what an error stops, it could not clean up behind itself."""
        copy = tmp_path / "copy"
        run(f"backup {copy}")
        expected = json.loads((copy / "backup.json").read_text())
        acme.publish("package-0", package_zip("package-0", text="new"))
        code = (
            "import os, signal; from hubrepo.kernel.transfer import backups\n"
            "backups.copy_if_whole = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "from hubrepo.cli import program; program()"
        )
        line = [sys.executable, "-c", code, "-c", str(run.ini), "backup", str(copy)]
        assert subprocess.run(line, check=False).returncode == -signal.SIGKILL
        assert json.loads((copy / "backup.json").read_text()) == expected
        assert other(f"restore {copy}").startswith("Restored ")
        assert ": 1 blob (" in run(f"backup {copy}")
        assert run("check --deep").endswith("all is well.\n")


def test_a_hub_moves_to_s3_and_postgresql_and_back(
    request, run, hub, acme, s3, postgresql, tmp_path
):
    """As docs/operating.md tells: bytes by one command, rows by two, and two lines of the ini."""
    rows, here, there = rows_of(hub), f"osfs://{run.folder}/blobs", s3_url(s3)
    url = postgresql.fresh()
    assert run(f"copy-store {here} {there}") == (
        f"Copied {whole(hub)}; 0 were there already; "
        f"0 files are no blobs, and were left.\nEvery blob is at {there} now.\n"
    )
    again = run(f"copy-store {here} {there} --deep")
    assert f"Copied 0 blobs (0 bytes); {len(keys_of(hub))} were" in again
    run(f"backup {tmp_path}/copy")
    new = run.ini.read_text().replace("sqlite:///%(here)s/hub.sqlite", url)
    # An ini file has two of each percent sign.
    run.ini.write_text(new.replace("osfs://%(here)s/blobs", there.replace("%", "%%")))
    assert run(f"restore {tmp_path}/copy").startswith("Restored ")
    assert run("check --deep").endswith("all is well.\n")
    moved = Hub.below(run.folder, database=url, blobs=there)
    assert rows_of(moved) == rows
    client_of(moved, acme).publish("package-0")
    rows = rows_of(moved)
    moved.registry.database.close()
    run(f"backup {tmp_path}/copy-of-it")
    back = Commands(tmp_path / "back")
    assert back(f"restore {tmp_path}/copy-of-it").startswith("Restored ")
    assert back("check --deep").endswith("all is well.\n")
    found = back.open(request)
    assert rows_of(found) == rows
    assert client_of(found, acme).publish("package-0")["version"] == 5


def test_stores_are_not_copied_between_places_that_are_none(run, tmp_path):
    here, wrong = f"osfs://{run.folder}/blobs", tmp_path / "blob"
    assert "there is no folder" in run.refuses(f"copy-store osfs://{wrong} osfs:///x")
    assert not wrong.exists(), "a mistyped source is not made"
    wrong.mkdir()
    for places, sentence in (
        (f"osfs://{wrong} {here}", f"there are no blobs at osfs://{wrong}: is that the place?"),
        (f"mem:// {here}", "FROM is mem://, which is gone with the process"),
        (f"{here} mem://", "TO is mem://, which is gone with the process"),
        (f"{here} {here}/", "FROM and TO are the same place"),
        ("blobs elsewhere", "must be osfs://"),
    ):
        assert sentence in run.refuses(f"copy-store {places}")


class TestMoving:
    """`export-org` and `import-org`."""

    def test_an_organisation_moves(self, request, run, other, acme, tmp_path):
        slug, file = acme.slug, tmp_path / "acme.zip"
        said = run(f"export-org {slug} {file}")
        pattern = rf"Exported {slug}: (\d+ rows and \d+ blobs \(\d+ bytes\))\.\n"
        figures = re.fullmatch(pattern, said)[1]
        proved = other(f"import-org {file} --prove")
        assert proved == f"Proved the export of {slug}: {figures}.\n"
        assert slug not in other("list-orgs")
        assert other(f"import-org {file}") == f"Imported {slug}: {figures}.\n"
        assert slug in other("list-orgs")
        there = client_of(other.open(request), acme)
        assert assert_readable(there.hub, there) == READABLE
        assert "organisation:import" in other(f"show-log --org {slug}")
        assert "organisation:export" in run(f"show-log --org {slug}")
        assert "has the same slug, name or GUID" in other.refuses(f"import-org {file}")
        assert Path(file).stat().st_mode & 0o077 == 0

    def test_what_cannot_be_done(self, run, other, acme, tmp_path):
        file = tmp_path / "acme.zip"
        assert run.refuses(f"export-org nobody {file}") == "there is no organisation nobody"
        file.write_bytes(b"mine")
        assert run.refuses(f"export-org {acme.slug} {file}") == f"{file} exists already"
        assert "is no export" in other.refuses(f"import-org {file}")
        assert "cannot be read" in other.refuses(f"import-org {tmp_path}/none")
        assert "No such file" in run.refuses(f"export-org {acme.slug} {tmp_path}/no/f")


def test_where_something_is_down_every_command_says_so_in_one_sentence(tmp_path):
    run = Commands(tmp_path / "hub")
    copy, file, rows = tmp_path / "copy", tmp_path / "file", "sqlite:///%(here)s/hub.sqlite"
    commands = (f"backup {copy}", f"restore {copy}", f"export-org org {file}", f"import-org {file}")
    for line, wrong in (
        ("osfs://%(here)s/blobs", "osfs:///dev/null/x"),
        (rows, "sqlite:////dev/null/x/hub.sqlite"),
        (rows, "postgresql://hub:secret@127.0.0.1:1/hub"),
    ):
        run.ini.write_text(INI.replace(line, wrong))
        for command in ("gc", *commands):
            assert "secret" not in run.refuses(command)
            assert [each.name for each in tmp_path.iterdir()] == ["hub"]


def test_progress_is_shown_on_a_terminal_and_the_result_elsewhere(run, acme):
    """Not on a pipe: `Commands` sees to that with each call."""
    folder = run.folder
    code = (
        "import sys; from hubrepo.cli import main\n"
        "for line in sys.argv[2:]: main(['-c', sys.argv[1], *line.split()], standalone_mode=False)"
    )
    lines = {
        "Backing up": f"backup {folder}/copy",
        "Copying": f"copy-store osfs://{folder}/blobs osfs://{folder}/new",
        "Exporting": f"export-org {acme.slug} {folder}/file",
        "Checking": "check",
    }
    near, far = pty.openpty()
    line = [sys.executable, "-c", code, str(run.ini), *lines.values()]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=far, text=True) as process:
        os.close(far)
        seen = b""
        try:
            while more := os.read(near, 4096):
                seen += more
        except OSError:
            pass  # On Linux a terminal ends so.
        os.close(near)
        said = process.stdout.read()
    assert process.returncode == 0
    for label in lines:
        assert label in seen.decode()
        assert label not in said
    for label in ("Backing up", "Checking"):
        assert re.search(rf"{label}[^\n]*?\b(\d+)/\1\b", seen.decode()), "it comes to its end"


def test_all_of_it_beside_a_hub_that_is_serving(server, other, tmp_path):
    """Others use that hub too: only what is told of this organisation is exact."""
    key = server.organisation("beside")
    with Wire(server.port, key) as wire:
        for number in range(3):
            assert wire.publish("widget", package_zip("widget", text=str(number))).status == 201
        assert "Backed up " in server.command("backup", str(tmp_path / "copy"))
        file = str(tmp_path / "beside.zip")
        assert "3 blobs" in server.command("export-org", "beside", file)
        assert "without a row removed" in server.command("gc", "--grace", "0")
        assert server.command("check", "--deep").endswith("all is well.")
        assert wire.publish("widget", package_zip("widget", text="after")).status == 201
    other(f"import-org {file}")
    assert other("check --deep").endswith("all is well.\n")
