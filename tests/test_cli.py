"""The command line, as operators and their scripts use it."""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
from contextlib import closing

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner

from hubrepo import cli
from tests.support.commands import INI, Commands
from tests.support.hub import Client
from tests.support.process import PROGRAM

KEY = r"kpf_[0-9a-f]{8}_[A-Za-z0-9_-]{49}"


@pytest.fixture(scope="module")
def bootstrapped(tmp_path_factory):
    run = Commands(tmp_path_factory.mktemp("bootstrapped")).initialise()
    run("bootstrap-org --name Acme --slug acme --user alice --password secret")
    return run.folder


@pytest.fixture
def acme(bootstrapped, tmp_path):
    """The commands of a hub with one organisation, which has one member."""
    return Commands(shutil.copytree(bootstrapped, tmp_path / "hub"))


@pytest.fixture
def serving(acme, request):
    """The hub of `acme`, opened as a server has it open."""
    return acme.open(request)


@pytest.fixture
def run(tmp_path):
    """The commands of a hub whose database was never made."""
    return Commands(tmp_path / "new")


def issue(acme, options=""):
    return acme(f"issue-api-key --org acme --quiet {options}").strip()


def test_init_and_bootstrapping_print_what_scripts_of_the_reference_read(run):
    run("init")
    told = run("bootstrap-org --name Acme --slug acme --user alice --password secret")
    assert re.fullmatch(
        rf"""Created organisation: Acme \(acme\)
Attached user: alice \(owner\)

API key \(shown once — store it now\):
    ({KEY})

Use it as:  Authorization: Api-Key \1
""",
        told,
    )


def test_issuing_prints_for_whom_and_the_key_or_with_quiet_the_key_alone(acme):
    for command, first_line in (
        ("issue-api-key --org acme --label ci", "service key for organisation acme, label: 'ci'"),
        (
            "issue-api-key --org acme --user alice",
            "per-user (alice) key for organisation acme, label:",
        ),
        ("bootstrap-org --name B --slug b", "Created organisation: B (b)"),
    ):
        told = acme(command)
        assert first_line in told.splitlines()[0]
        assert "Attached" not in told
        assert len(re.findall(rf"^    {KEY}$", told, re.MULTILINE)) == 1
    for command in ("issue-api-key --org acme", "bootstrap-org --name C --slug c"):
        assert re.fullmatch(KEY + "\n", acme(f"{command} --quiet"))


REFUSED = [
    ("bootstrap-org --name New --slug acme", "organisation with slug 'acme' already exists"),
    ("bootstrap-org --name Acme --slug new", "organisation with name 'Acme' already exists"),
    ("bootstrap-org --name New --slug ../x", "'../x' is not a slug"),
    ("bootstrap-org --name N --slug n --user alice", "user 'alice' is a member of another organis"),
    ("issue-api-key --org x", "no organisation with slug 'x'"),
    ("issue-api-key --org acme --user x", "no user with username 'x'"),
    (
        "issue-api-key --org beta --user alice",
        "user 'alice' is not a member of organisation 'beta'",
    ),
    ("issue-api-key --org acme --expires 2001-01-01", "a key cannot expire before it is made"),
    (
        f"issue-api-key --org acme --label {'x' * 121}",
        "a label is one line of at most 120 characters",
    ),
    ("revoke-api-key 00000000", "no API key with prefix '00000000'"),
    ("list-api-keys --org x", "no organisation with slug 'x'"),
    ("remove-member --org acme --user x", "no user with username 'x'"),
    ("deactivate-user x", "no user with username 'x'"),
    ("set-limits --org x", "no organisation with slug 'x'"),
]


@pytest.mark.long
def test_what_cannot_be_done_is_said_in_one_sentence_and_nothing_is_done(acme):
    acme("bootstrap-org --name Beta --slug beta")
    before = acme("list-orgs") + acme("list-api-keys --org acme")
    for command, sentence in REFUSED:
        assert acme.refuses(command).startswith(sentence)
    assert acme("list-orgs") + acme("list-api-keys --org acme") == before


def test_every_command_explains_itself_and_what_it_misses(run):
    misused = run.run("issue-api-key")
    assert misused.exit_code == 2
    assert "Usage:" in misused.stderr
    for command in ("", *cli.main.commands):
        assert len(run(f"{command} --help")) > 80


def test_the_password_can_come_from_the_environment_or_standard_input(acme):
    environ = {"HUBREPO_PASSWORD": "from env"}
    acme("bootstrap-org --name A --slug a --user ann", env=environ)
    acme("add-member --org a --user bob --password -", input="from stdin\n")
    with closing(sqlite3.connect(acme.folder / "hub.sqlite")) as rows:
        hashes = dict(rows.execute("SELECT username, password_hash FROM accounts_user").fetchall())
    assert PasswordHasher().verify(hashes["ann"], "from env")
    assert PasswordHasher().verify(hashes["bob"], "from stdin")


def test_a_revoked_key_is_dead_at_once(acme, serving):
    key = issue(acme)
    client = Client(serving, "acme", key)
    client.get("/api/packages")
    assert acme(f"revoke-api-key {key[:12]}") == f"Revoked {key[:12]}\n"
    client.get("/api/packages", status=401)
    assert "revoked" in acme("list-api-keys --org acme")


def test_a_rotated_key_stays_good_for_a_while_beside_the_new_one_or_ends_at_once(acme, serving):
    old = issue(acme, "--only packages:team-*")
    told = acme(f"rotate-api-key {old[:12]}")
    assert re.match(rf"Rotated {old[:12]}, which is good until \S+Z\n", told)
    for key in (old, re.search(KEY, told)[0]):
        client = Client(serving, "acme", key)
        client.publish("team-a")
        client.publish("other", status=403)
    listed = acme("list-api-keys --org acme").splitlines()
    assert all("read publish packages:team-*" in line for line in listed[-2:])
    assert acme.refuses(f"rotate-api-key {old[:12]}")
    newest = acme(f"rotate-api-key {key} --overlap 0 --quiet")
    assert re.fullmatch(KEY + "\n", newest)
    client.publish("team-a", status=401)
    Client(serving, "acme", newest.strip()).publish("team-a")


def test_leaked_keys_are_found_without_a_hub(acme, tmp_path):
    key = issue(acme)
    slipped = key[:-1] + ("a" if key[-1] != "a" else "b")
    leak, innocent = tmp_path / "leak.sh", tmp_path / "innocent.sh"
    innocent.write_text(f"export KEY={slipped}\n")
    leak.write_text(f"# of no interest\nexport KEY='{key}'\n")
    look = ["-c", "nowhere.ini", "find-keys", str(innocent)]
    assert CliRunner().invoke(cli.main, look).exit_code == 0
    found = CliRunner().invoke(cli.main, [*look, str(leak)])
    assert (found.exit_code, found.stdout) == (1, f"{leak}:2: {key[:12]}_…\n")
    leak.unlink()
    innocent.unlink()


def test_keys_are_listed_without_their_secrets(acme):
    key = issue(acme, "--scope read --expires 2099-01-01")
    listing = acme("list-api-keys --org acme")
    assert key[:12] in listing
    assert key not in listing
    assert re.search(r"until 2099-01-01T00:00:00Z +- +read", listing)


@pytest.mark.long
def test_members_come_and_go_and_limits_are_set(acme):
    acme("set-limits --org acme --max-upload-size 5000")
    assert " 5000 " in acme("list-orgs")
    acme("add-member --org acme --user bob")
    assert acme("deactivate-user bob") == "bob is inactive\n"
    assert re.search(r"bob +member +inactive", acme("list-members --org acme"))
    acme("activate-user bob")
    acme("remove-member --org acme --user bob")
    assert "bob" not in acme("list-members --org acme")


def test_what_operators_do_is_in_the_log_and_so_is_what_they_were_refused(acme):
    acme.refuses("issue-api-key --org acme --user nobody")
    log = acme("show-log --org acme")
    assert re.search(r"refused +key:issue +organisation:acme +operator:", log)
    assert re.search(r"done +key:issue +key:kpf_[0-9a-f]{8} +operator:", log)
    assert re.search(r"done +organisation:create +organisation:acme", log)


@pytest.mark.long
def test_whatever_is_wrong_with_the_ini_is_said_in_one_sentence(run, tmp_path):
    assert "has a '?' in its name" in Commands(tmp_path / "what?").refuses("init")
    for text, sentence in [
        (INI.replace("hubrepo.database", "#"), "hubrepo.database is not set"),
        (INI + "hubrepo.typo = 1\n", "hubrepo.typo is not a setting"),
        (INI.replace("osfs", "nfs"), "hubrepo.blobs must be"),
        ("[app:main\n", "MissingSectionHeaderError"),
        (INI.replace("egg:hubrepo", "%(nothing)s"), "InterpolationMissingOptionError"),
        (INI.replace("hub.sqlite", "hub.ini"), "hubrepo.database cannot be used"),
        (INI.replace("hub.sqlite", "hub.ini/x"), "hubrepo.database cannot be"),
    ]:
        run.ini.write_text(text)
        for command in ("init", "list-orgs"):
            assert run.refuses(command).startswith(sentence), text
    run.ini.write_text(INI)
    assert run.refuses("list-orgs").startswith("the database is not up to date: run")
    run.ini.unlink()
    assert run.refuses("list-orgs").startswith("there is no ")


def test_a_port_that_is_taken_is_said_before_the_only_key_is_shown(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        run.ini.write_text(
            f"{INI}hubrepo.first_organisation = acme\nhubrepo.migrate_on_start = true\n"
            f"[server:main]\nuse = egg:hubrepo\nlisten = {address}\n"
        )
        result = run.run("serve")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot listen at {address}")
    assert "kpf_" not in result.output
    assert "acme" not in run("list-orgs")


def test_the_names_of_the_reference_work_as_programs(acme, monkeypatch, capsys):
    for program, options in (
        (cli.bootstrap_org, "bootstrap_org --name B --slug b"),
        (cli.issue_api_key, "issue_api_key --org acme"),
    ):
        monkeypatch.setattr("sys.argv", [*options.split(), "-c", str(acme.ini)])
        with pytest.raises(SystemExit) as caught:
            program()
        assert caught.value.code == 0
        assert re.search(rf"^    {KEY}$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.long
def test_a_command_nobody_reads_to_its_end_ends_without_a_word(acme):
    """As in `hubrepo list-orgs | true`."""
    near, far = os.pipe()
    os.close(near)
    line = [*PROGRAM, "-c", str(acme.ini), "list-orgs"]
    done = subprocess.run(line, stdout=far, stderr=subprocess.PIPE, check=False)
    os.close(far)
    assert (done.returncode, done.stderr) == (1, b"")
