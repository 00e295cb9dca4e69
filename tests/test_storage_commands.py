"""The commands that look after what is kept: as operators and their cron call them."""

import json
import os
import pty
import re
import select as polling
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from hubrepo import cli
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.blobs import key_of
from tests.support.archives import package_zip
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
from tests.support.process import PROGRAM, HubProcess

pytestmark = pytest.mark.long

INI = """
[app:main]
use = egg:hubrepo
hubrepo.database = sqlite:///{folder}/hub.sqlite
hubrepo.blobs = osfs://{folder}/blobs
"""


class Operated:
    """A hub, the ini file that describes it, and the commands called with it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.ini = folder, folder / "hub.ini"
        self.ini.write_text(INI.format(folder=folder))

    def __call__(self, *arguments: str, ends: int = 0) -> str:
        """What a command prints, all of it; `ends` is its exit code."""
        done = CliRunner().invoke(cli.main, ["-c", str(self.ini), *arguments])
        assert done.exit_code == ends, done.output
        assert "Traceback" not in done.output
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done.output

    def refuses(self, *arguments: str, ends: int = 1) -> str:
        """The one sentence with which a command ends that cannot do what it should."""
        said = self(*arguments, ends=ends)
        lines = said.strip().splitlines()
        assert lines[-1].startswith("Error: "), said
        return lines[-1].removeprefix("Error: ")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with a hub that is full, to be copied."""
    folder = tmp_path_factory.mktemp("built") / "hub"
    folder.mkdir()
    hub = Hub.below(folder)
    clients = fill(hub)
    hub.registry.database.close()
    return folder, clients


@pytest.fixture
def run(built, tmp_path):
    shutil.copytree(built[0], tmp_path / "hub")
    return Operated(tmp_path / "hub")


@pytest.fixture
def hub(run):
    hub = Hub.below(run.folder)
    yield hub
    hub.registry.database.close()


@pytest.fixture
def acme(built, hub):
    return client_of(hub, built[1][0])


@pytest.fixture
def other(tmp_path):
    """Another hub, which is initialised."""
    there = Operated(tmp_path / "other")
    there("init")
    return there


@pytest.fixture
def opened(other):
    """What the other hub has, opened only once a command has filled it."""
    hubs = []

    def open_it():
        hubs.append(Hub.below(other.folder))
        return hubs[-1]

    yield open_it
    for each in hubs:
        each.registry.database.close()


class TestCheck:
    """0: all is well; 1: damage; 2: it could not look; 3: only left-overs."""

    def test_all_is_well(self, run, hub):
        size = sum(stored.size for stored in hub.registry.stores.main.list())
        count = len(keys_of(hub))
        for words, how in (([], "looked up"), (["--deep"], "read and hashed")):
            expected = f"Checked {count} blobs ({size} bytes), {how}: all is well.\n"
            assert run("check", *words) == expected

    def test_damage(self, run, hub):
        first, second, *_ = keys_of(hub)
        put(hub, first, b"cut")
        hub.registry.stores.main.delete(second)
        said = run("check", ends=1)
        assert f"truncated: {first}: 3 bytes instead of" in said
        assert f"missing: {second}: the store 'blobs' does not have it" in said
        assert said.endswith(": 1 missing, 1 truncated.\n")

    def test_only_a_deep_one_finds_flipped_bits(self, run, hub):
        key = keys_of(hub)[0]
        path = run.folder / "blobs" / key
        path.write_bytes(bytes(path.stat().st_size))
        run("check")
        assert "its bytes are not those that its name says" in run("check", "--deep", ends=1)

    def test_left_overs(self, run, hub):
        put(hub, "notes.txt", b"mine")
        said = run("check", ends=3)
        assert said.startswith("unknown: notes.txt: 4 bytes whose name is not that of a blob\n")

    def test_as_json(self, run, hub):
        key = keys_of(hub)[0]
        put(hub, key, b"cut")
        *found, last = [json.loads(line) for line in run("check", "--json", ends=1).splitlines()]
        assert [(each["kind"], each["subject"]) for each in found] == [("truncated", key)]
        assert last["checked"]["found"] == {"truncated": 1}
        assert last["checked"]["blobs"] == len(keys_of(hub))
        assert last["checked"]["deep"] is False

    def test_what_cannot_be_looked_at(self, run):
        (run.folder / "hub.sqlite").write_bytes(b"not a database at all" * 100)
        assert "could not check: " in run.refuses("check", ends=2)
        run.ini.write_text(run.ini.read_text().replace(f"osfs://{run.folder}", "osfs:///dev/null"))
        assert "cannot be written" in run.refuses("check", ends=2)
        run.ini.unlink()
        assert "there is no " in run.refuses("check", ends=2)

    def test_a_database_that_was_never_made(self, tmp_path):
        assert "hubrepo -c INI init" in Operated(tmp_path / "new").refuses("check", ends=2)

    def test_a_store_that_fails_half_way(self, run, monkeypatch):
        def fail(*_):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("hubrepo.kernel.blobs.checking.is_whole", fail)
        assert "Input/output error" in run.refuses("check", "--deep", ends=2)


class TestCollection:
    """`gc` does what its dry run said."""

    def figures(self, said):
        return re.sub(r"(would be )?removed", "…", said)

    def test_a_dry_run_tells_the_figures_of_the_run_after_it(self, run, hub, acme):
        with hub.registry.database.read() as db:
            guid = db.scalar(select(Organisation.guid).where(Organisation.slug == acme.slug)).hex
        put(hub, key_of(guid, "a" * 64), b"orphan")
        put(hub, key_of("f" * 32, "a" * 64), b"of nobody")
        (run.folder / "blobs" / ".stage" / "left").write_bytes(b"half")
        os.utime(run.folder / "blobs" / ".stage" / "left", (0, 0))
        run.ini.write_text(run.ini.read_text() + "hubrepo.pages.keep_publications = 0\n")
        before = rows_of(hub), keys_of(hub)
        told = run("gc", "--grace", "0", "--dry-run")
        assert (rows_of(hub), keys_of(hub)) == before
        done = run("gc", "--grace", "0")
        assert self.figures(told) == self.figures(done)
        assert "1 blob (6 bytes) without a row removed\n" in done
        assert "1 stages of dead processes removed\n" in done
        assert "6 old publications removed\n" in done
        assert "1 files are of no organisation, and were left alone\n" in done
        again = run("gc", "--grace", "0")
        assert "0 blobs (0 bytes) without a row removed\n" in again
        assert "0 old publications removed\n" in again
        assert {each.kind for each in findings(hub)} == {"unknown"}
        assert assert_readable(hub, acme) == READABLE

    def test_what_is_young_is_left_alone(self, run, hub, acme):
        with hub.registry.database.read() as db:
            guid = db.scalar(select(Organisation.guid).where(Organisation.slug == acme.slug)).hex
        put(hub, key_of(guid, "a" * 64), b"orphan")
        assert "0 blobs (0 bytes) without a row removed\n" in run("gc")
        assert key_of(guid, "a" * 64) in keys_of(hub)


class TestBackup:
    """`backup` and `restore`."""

    def test_there_and_back(self, run, other, hub, opened, acme, tmp_path):
        copy = str(tmp_path / "copy")
        count = len(keys_of(hub))
        rows = sum(map(len, rows_of(hub).values()))
        size = sum(stored.size for stored in hub.registry.stores.main.list())
        whole = f"{count} blobs ({size} bytes)"
        assert run("backup", copy) == (
            f"Backed up {rows} rows and {whole}: {whole} copied, "
            "0 removed that no row tells of any more.\n"
        )
        assert f"{whole}: 0 blobs (0 bytes) copied" in run("backup", copy)
        assert other("restore", copy) == f"Restored {rows} rows and {whole}.\n"
        assert other("check", "--deep").endswith("all is well.\n")
        assert assert_readable(opened(), client_of(opened(), acme)) == READABLE
        assert "the database is not empty" in other.refuses("restore", copy)

    def test_it_needs_no_database_yet(self, run, tmp_path):
        run("backup", str(tmp_path / "copy"))
        bare = Operated(tmp_path / "bare")
        assert bare("restore", str(tmp_path / "copy")).startswith("Restored ")
        assert bare("check").endswith("all is well.\n")

    def test_what_is_damaged_is_told(self, run, other, hub, tmp_path):
        copy = tmp_path / "copy"
        key = keys_of(hub)[0]
        put(hub, key, b"cut")
        said = run("backup", str(copy), ends=1)
        assert f"damaged or missing: {key}\n" in said
        said = other("restore", str(copy), ends=1)
        assert said.startswith("Restored ")
        assert f"damaged or missing: {key}\n" in said

    @pytest.mark.parametrize("what", ["nothing", "empty", "file"])
    def test_what_is_no_backup(self, other, tmp_path, what):
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").write_text("")
        ends = 2 if what == "file" else 1
        other.refuses("restore", str(tmp_path / what), ends=ends)
        other.refuses("backup", str(tmp_path / "file"), ends=2)

    def test_a_place_that_is_not_ours(self, run, tmp_path):
        assert "which is of no backup" in run.refuses("backup", str(tmp_path))


def test_a_hub_moves_to_s3_and_postgresql_and_back(run, hub, acme, s3, postgresql, tmp_path):
    """As docs/operating.md tells: bytes by one command, rows by two, and two lines of the ini."""
    rows, old = rows_of(hub), run.ini.read_text()
    here, there = f"osfs://{run.folder}/blobs", s3_url(s3)
    url = postgresql.fresh()
    assert f"Every blob is at {there} now." in run("copy-store", here, there)
    run("backup", str(tmp_path / "copy"))
    # An ini file has two of each percent sign.
    new = old.replace(here, there.replace("%", "%%")).replace(
        f"sqlite:///{run.folder}/hub.sqlite", url
    )
    run.ini.write_text(new)
    assert run("restore", str(tmp_path / "copy")).startswith("Restored ")
    assert run("check", "--deep").endswith("all is well.\n")
    moved = Hub.below(run.folder, database=url, blobs=there)
    assert rows_of(moved) == rows
    client_of(moved, acme).publish("package-0")
    rows = rows_of(moved)
    moved.registry.database.close()
    run("backup", str(tmp_path / "copy-of-it"))
    back = Operated(tmp_path / "back")
    assert back("restore", str(tmp_path / "copy-of-it")).startswith("Restored ")
    assert back("check", "--deep").endswith("all is well.\n")
    found = Hub.below(back.folder)
    assert rows_of(found) == rows
    assert client_of(found, acme).publish("package-0")["version"] == 5
    found.registry.database.close()


class TestCopies:
    """`copy-store`, after which one line of the ini switches."""

    def test_a_store_moves(self, run, hub, tmp_path):
        old, new = f"osfs://{run.folder}/blobs", f"osfs://{tmp_path}/new"
        count = len(keys_of(hub))
        size = sum(stored.size for stored in hub.registry.stores.main.list())
        assert run("copy-store", old, new) == (
            f"Copied {count} blobs ({size} bytes); 0 were there already; "
            f"0 files are no blobs, and were left.\nEvery blob is at {new} now.\n"
        )
        assert f"Copied 0 blobs (0 bytes); {count} were" in run("copy-store", old, new, "--deep")
        run.ini.write_text(run.ini.read_text().replace(old, new))
        shutil.rmtree(run.folder / "blobs")
        assert run("check", "--deep").endswith("all is well.\n")

    def test_damage_is_told(self, run, hub, tmp_path):
        key = keys_of(hub)[0]
        put(hub, key, b"cut")
        said = run("copy-store", f"osfs://{run.folder}/blobs", f"osfs://{tmp_path}/new", ends=1)
        assert f"damaged or missing: {key}\n" in said
        assert "Every blob is" not in said

    def test_a_mistyped_source_is_not_made(self, run, tmp_path):
        wrong = tmp_path / "blob"
        assert "there is no folder" in run.refuses("copy-store", f"osfs://{wrong}", "osfs:///x")
        assert not wrong.exists()
        wrong.mkdir()
        said = run.refuses("copy-store", f"osfs://{wrong}", f"osfs://{tmp_path}/new")
        assert said == f"there are no blobs at osfs://{wrong}: is that the place?"

    @pytest.mark.parametrize("where", ["FROM", "TO"])
    def test_memory_is_no_place(self, run, where):
        here = f"osfs://{run.folder}/blobs"
        urls = ("mem://", here) if where == "FROM" else (here, "mem://")
        said = run.refuses("copy-store", *urls)
        assert said == f"{where} is mem://, which is gone with the process"

    def test_one_place_is_not_copied_onto_itself(self, run):
        here = f"osfs://{run.folder}/blobs"
        assert run.refuses("copy-store", here, f"{here}/") == "FROM and TO are the same place"

    def test_urls_that_are_none(self, run):
        assert "must be osfs://" in run.refuses("copy-store", "blobs", "elsewhere")


class TestMoving:
    """`export-org` and `import-org`."""

    def test_an_organisation_moves(self, run, other, opened, acme, tmp_path):
        file = str(tmp_path / "acme.zip")
        said = run("export-org", acme.slug, file)
        figures = re.fullmatch(
            rf"Exported {acme.slug}: (\d+ rows and \d+ blobs \(\d+ bytes\))\.\n", said
        )[1]
        assert (
            other("import-org", file, "--prove")
            == f"Proved the export of {acme.slug}: {figures}.\n"
        )
        assert "SLUG" in other("list-orgs")
        assert acme.slug not in other("list-orgs")
        assert other("import-org", file) == f"Imported {acme.slug}: {figures}.\n"
        assert acme.slug in other("list-orgs")
        there = client_of(opened(), acme)
        assert assert_readable(there.hub, there) == READABLE
        assert "organisation:import" in other("show-log", "--org", acme.slug)
        assert "organisation:export" in run("show-log", "--org", acme.slug)
        assert "has the same slug, name or GUID" in other.refuses("import-org", file)
        assert Path(file).stat().st_mode & 0o077 == 0

    def test_what_cannot_be_done(self, run, other, acme, tmp_path):
        file = tmp_path / "acme.zip"
        assert run.refuses("export-org", "nobody", str(file)) == "there is no organisation nobody"
        file.write_bytes(b"mine")
        assert run.refuses("export-org", acme.slug, str(file)) == f"{file} exists already"
        assert "is no export" in other.refuses("import-org", str(file))
        assert "cannot be read" in other.refuses("import-org", str(tmp_path / "none"))
        assert "No such file" in run.refuses("export-org", acme.slug, str(tmp_path / "no" / "f"))


COMMANDS = (
    ("gc",),
    ("backup", "{folder}/copy"),
    ("restore", "{folder}/copy"),
    ("export-org", "org", "{folder}/file"),
    ("import-org", "{folder}/file"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("what", ["store", "database", "server"])
def test_where_something_is_down_every_command_says_so_in_one_sentence(tmp_path, command, what):
    run = Operated(tmp_path / "hub")
    rows = f"sqlite:///{run.folder}/hub.sqlite"
    line = {"store": f"osfs://{run.folder}/blobs", "database": rows, "server": rows}
    wrong = {
        "store": "osfs:///dev/null/x",
        "database": "sqlite:////dev/null/x/hub.sqlite",
        "server": "postgresql://hub:secret@127.0.0.1:1/hub",
    }
    run.ini.write_text(run.ini.read_text().replace(line[what], wrong[what]))
    said = run.refuses(*(word.format(folder=tmp_path) for word in command))
    assert "secret" not in said
    assert sorted(each.name for each in tmp_path.iterdir()) == ["hub"]


class TestOnATerminal:
    """Progress is shown on a terminal, and nowhere else."""

    def at_terminal(self, run, *arguments):
        """What a person sees of the command: its output, and what it says beside it."""
        near, far = pty.openpty()
        with subprocess.Popen(
            [*PROGRAM, "-c", str(run.ini), *arguments], stdout=subprocess.PIPE, stderr=far
        ) as process:
            os.close(far)
            seen = b""
            while polling.select([near], [], [], 60)[0]:
                try:
                    seen += os.read(near, 4096)
                except OSError:  # its end, on Linux
                    break
            os.close(near)
            said = process.stdout.read()
        return said.decode(), seen.decode(), process.returncode

    @pytest.mark.parametrize(
        ("arguments", "label"),
        [
            (("check",), "Checking"),
            (("backup", "{folder}/copy"), "Backing up"),
            (("copy-store", "osfs://{folder}/blobs", "osfs://{folder}/new"), "Copying"),
            (("export-org", "{slug}", "{folder}/file"), "Exporting"),
        ],
    )
    def test_it_is_shown(self, run, acme, arguments, label):
        words = [each.format(folder=run.folder, slug=acme.slug) for each in arguments]
        said, seen, ended = self.at_terminal(run, *words)
        assert (label in seen, label in said, ended) == (True, False, 0), seen
        if label in {"Checking", "Backing up"}:
            assert re.search(r"(\d+)/\1\b", seen), "it comes to its end"

    def test_elsewhere_nothing_is(self, run):
        done = subprocess.run(
            [*PROGRAM, "-c", str(run.ini), "check"], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""


def test_all_of_it_beside_a_hub_that_is_serving(tmp_path):
    with HubProcess(tmp_path / "serving") as serving, serving.wire() as wire:
        for number in range(3):
            assert wire.publish("widget", package_zip("widget", text=str(number))).status == 201
        assert serving.command("check", "--deep").endswith("all is well.")
        assert "3 blobs" in serving.command("backup", str(tmp_path / "copy"))
        assert "3 blobs" in serving.command("export-org", "acme", str(tmp_path / "acme.zip"))
        assert "0 blobs (0 bytes) without a row" in serving.command("gc", "--grace", "0")
        assert wire.publish("widget", package_zip("widget", text="after")).status == 201
    there = Operated(tmp_path / "there")
    there("init")
    there("import-org", str(tmp_path / "acme.zip"))
    assert there("check", "--deep").endswith("all is well.\n")


@pytest.mark.parametrize("moment", ["rows", "blobs", "manifest"])
def test_a_backup_that_is_killed_leaves_the_one_before(run, hub, acme, other, tmp_path, moment):
    """SIGKILL at once, as the process reaches that step."""
    copy = tmp_path / "copy"
    run("backup", str(copy))
    expected = json.loads((copy / "backup.json").read_text())
    acme.publish("package-0", package_zip("package-0", text="new"))
    step = {"rows": "write_blobs", "blobs": "copy_if_whole", "manifest": "write_durably"}[moment]
    code = (
        "import os, signal; from hubrepo.kernel.transfer import backups\n"
        f"backups.{step} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from hubrepo.cli import program; program()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "-c", str(run.ini), "backup", str(copy)], check=False
    )
    assert done.returncode == -9
    assert json.loads((copy / "backup.json").read_text()) == expected
    assert other("restore", str(copy)).startswith("Restored ")
    copied = "0 blobs (0 bytes) copied" if moment == "manifest" else ": 1 blob ("
    assert copied in run("backup", str(copy))
    assert run("check", "--deep").endswith("all is well.\n")
