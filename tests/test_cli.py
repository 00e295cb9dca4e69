"""The command line, as operators and their scripts use it."""

import os
import re
import socket
import sqlite3

import pytest
from click.testing import CliRunner, Result

from hubrepo import cli
from tests.support.hub import Client, Hub

pytestmark = pytest.mark.long

KEY = r"kpf_[0-9a-f]{8}_[A-Za-z0-9_-]{49}"

INI = """
[app:main]
use = egg:hubrepo
hubrepo.database = sqlite:///%(here)s/var/hub.sqlite
hubrepo.blobs = osfs://%(here)s/var/blobs
"""


@pytest.fixture
def ini(tmp_path):
    path = tmp_path / "hub.ini"
    path.write_text(INI)
    return path


@pytest.fixture
def run(ini):
    def call(*arguments: str, **options) -> Result:
        return CliRunner().invoke(cli.main, ["-c", str(ini), *arguments], **options)

    return call


@pytest.fixture
def ready(run):
    assert run("init").exit_code == 0
    return run


@pytest.fixture
def acme(ready):
    result = ready(
        "bootstrap-org",
        "--name",
        "Acme",
        "--slug",
        "acme",
        "--user",
        "alice",
        "--password",
        "secret",
    )
    assert result.exit_code == 0, result.output
    return ready


def test_bootstrapping_prints_what_scripts_of_the_reference_read(ready):
    result = ready(
        "bootstrap-org",
        "--name",
        "Acme",
        "--slug",
        "acme",
        "--user",
        "alice",
        "--password",
        "secret",
    )
    assert result.exit_code == 0
    assert re.fullmatch(
        rf"""Created organisation: Acme \(acme\)
Attached user: alice \(owner\)

API key \(shown once — store it now\):
    ({KEY})

Use it as:  Authorization: Api-Key \1
""",
        result.stdout,
    )


def test_a_service_key_names_no_user(ready):
    result = ready("bootstrap-org", "--name", "Acme", "--slug", "acme")
    assert "Attached" not in result.stdout
    lines = [line.strip() for line in result.stdout.splitlines() if line.strip().startswith("kpf_")]
    assert len(lines) == 1
    assert re.fullmatch(KEY, lines[0])


@pytest.mark.parametrize(
    ("arguments", "first_line"),
    [
        (["--label", "ci"], "Issued service key for organisation acme, label: 'ci'"),
        (
            ["--user", "alice"],
            "Issued per-user (alice) key for organisation acme, label: 'api key'",
        ),
    ],
)
def test_issuing_prints_for_whom_and_then_the_key(acme, arguments, first_line):
    result = acme("issue-api-key", "--org", "acme", *arguments)
    assert result.stdout.splitlines()[0] == first_line
    assert re.search(rf"^    {KEY}$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    "command", [["issue-api-key", "--org", "acme"], ["bootstrap-org", "--name", "B", "--slug", "b"]]
)
def test_quiet_prints_the_key_alone(acme, command):
    result = acme(*command, "--quiet")
    assert re.fullmatch(KEY + "\n", result.stdout)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("bootstrap-org --name New --slug acme", "organisation with slug 'acme' already exists"),
        ("bootstrap-org --name Acme --slug new", "organisation with name 'Acme' already exists"),
        ("bootstrap-org --name New --slug ../x", "'../x' is not a slug"),
        ("bootstrap-org --name New --slug pages", "'pages' is not a slug"),
        (
            "bootstrap-org --name New --slug new --user alice",
            "user 'alice' is a member of another organisation",
        ),
        ("issue-api-key --org x", "no organisation with slug 'x'"),
        ("issue-api-key --org acme --user x", "no user with username 'x'"),
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
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence_and_nothing_is_done(acme, arguments, sentence):
    before = acme("list-orgs").stdout + acme("list-api-keys", "--org", "acme").stdout
    result = acme(*arguments.split())
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: {sentence}")
    assert len(result.stderr.splitlines()) == 1
    assert acme("list-orgs").stdout + acme("list-api-keys", "--org", "acme").stdout == before


def test_a_user_of_another_organisation_is_not_a_member(acme):
    assert acme("bootstrap-org", "--name", "Beta", "--slug", "beta").exit_code == 0
    result = acme("issue-api-key", "--org", "beta", "--user", "alice")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: user 'alice' is not a member of organisation 'beta'\n",
    )


def test_missing_options_are_a_matter_of_usage(acme):
    result = acme("issue-api-key")
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


@pytest.mark.parametrize("command", [[], *([name] for name in cli.main.commands)])
def test_every_command_explains_itself(run, command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert len(result.stdout) > 80


def test_the_password_can_come_from_the_environment_or_standard_input(ready, ini):
    ready(
        "bootstrap-org",
        "--name",
        "A",
        "--slug",
        "a",
        "--user",
        "ann",
        env={"HUBREPO_PASSWORD": "from env"},
    )
    ready("add-member", "--org", "a", "--user", "bob", "--password", "-", input="from stdin\n")
    rows = sqlite3.connect(ini.parent / "var/hub.sqlite")
    hashes = dict(rows.execute("SELECT username, password_hash FROM accounts_user").fetchall())
    rows.close()
    from argon2 import PasswordHasher

    assert PasswordHasher().verify(hashes["ann"], "from env")
    assert PasswordHasher().verify(hashes["bob"], "from stdin")


def test_a_revoked_key_is_dead_at_once(hub: Hub, acme, ini, tmp_path):
    key = acme("issue-api-key", "--org", "acme", "--quiet").stdout.strip()
    running = Hub.below(tmp_path / "var")
    client = Client(running, "acme", key)
    client.get("/api/packages")
    assert acme("revoke-api-key", key[:12]).stdout == f"Revoked {key[:12]}\n"
    client.get("/api/packages", status=401)
    assert "revoked" in acme("list-api-keys", "--org", "acme").stdout
    running.registry.database.close()


def test_a_rotated_key_stays_good_for_a_while_beside_the_new_one(acme, ini, tmp_path):
    old = acme(
        "issue-api-key", "--org", "acme", "--only", "packages:team-*", "--quiet"
    ).stdout.strip()
    running = Hub.below(tmp_path / "var")
    told = acme("rotate-api-key", old[:12]).stdout
    assert re.match(rf"Rotated {old[:12]}, which is good until \S+Z\n", told)
    for key in (old, re.search(KEY, told)[0]):
        client = Client(running, "acme", key)
        client.publish("team-a")
        client.publish("other", status=403)
    listed = acme("list-api-keys", "--org", "acme").stdout.splitlines()
    assert all("read publish packages:team-*" in line for line in listed[-2:])
    again = acme("rotate-api-key", old[:12])
    assert (again.exit_code, again.stdout) == (1, "")
    running.registry.database.close()


def test_a_rotated_key_may_end_at_once(acme, ini, tmp_path):
    old = acme("issue-api-key", "--org", "acme", "--quiet").stdout.strip()
    new = acme("rotate-api-key", old, "--overlap", "0", "--quiet").stdout
    assert re.fullmatch(KEY + "\n", new)
    running = Hub.below(tmp_path / "var")
    Client(running, "acme", old).get("/api/packages", 401)
    Client(running, "acme", new.strip()).get("/api/packages")
    running.registry.database.close()


def test_leaked_keys_are_found_without_a_hub(acme, tmp_path):
    key = acme("issue-api-key", "--org", "acme", "--quiet").stdout.strip()
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


def test_what_nothing_refers_to_is_collected(acme, ini):
    orphan = next((ini.parent / "var" / "blobs").glob("*")).parent / ".stage" / "left"
    orphan.write_bytes(b"half an upload")
    os.utime(orphan, (0, 0))
    told = acme("gc", "--grace", "0", "--dry-run").stdout
    assert "1 stages of dead processes would be removed" in told
    assert orphan.exists()
    assert "1 stages of dead processes removed" in acme("gc", "--grace", "0").stdout
    assert not orphan.exists()


def test_keys_are_listed_without_their_secrets(acme):
    key = acme(
        "issue-api-key", "--org", "acme", "--scope", "read", "--expires", "2099-01-01", "--quiet"
    ).stdout.strip()
    listing = acme("list-api-keys", "--org", "acme").stdout
    assert key[:12] in listing
    assert key not in listing
    assert re.search(r"until 2099-01-01T00:00:00Z +- +read", listing)


def test_limits_are_set_and_shown(acme):
    assert acme("set-limits", "--org", "acme", "--max-upload-size", "5000").exit_code == 0
    assert " 5000 " in acme("list-orgs").stdout


def test_members_come_and_go(acme):
    assert acme("add-member", "--org", "acme", "--user", "bob").exit_code == 0
    assert acme("deactivate-user", "bob").stdout == "bob is inactive\n"
    assert re.search(r"bob +member +inactive", acme("list-members", "--org", "acme").stdout)
    assert acme("activate-user", "bob").exit_code == 0
    assert acme("remove-member", "--org", "acme", "--user", "bob").exit_code == 0
    assert "bob" not in acme("list-members", "--org", "acme").stdout


def test_what_operators_do_is_in_the_log_and_so_is_what_they_were_refused(acme):
    acme("issue-api-key", "--org", "acme", "--user", "nobody")
    log = acme("show-log", "--org", "acme").stdout
    assert re.search(r"refused +key:issue +organisation:acme +operator:", log)
    assert re.search(r"done +key:issue +key:kpf_[0-9a-f]{8} +operator:", log)
    assert re.search(r"done +organisation:create +organisation:acme", log)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (INI.replace("hubrepo.database", "#"), "hubrepo.database is not set"),
        (INI + "hubrepo.typo = 1\n", "hubrepo.typo is not a setting"),
        (INI.replace("osfs", "nfs"), "hubrepo.blobs must be"),
        (INI, "the database is not up to date: run"),
    ],
)
def test_a_hub_that_cannot_start_says_so_in_one_sentence(run, ini, text, sentence):
    ini.write_text(text)
    (ini.parent / "var").mkdir()
    result = run("list-orgs")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {sentence}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[app:main\n", "Error: MissingSectionHeaderError"),
        (INI.replace("egg:hubrepo", "%(nothing)s"), "Error: "),
        (INI.replace("var/hub.sqlite", "hub.ini"), "Error: hubrepo.database cannot be used"),
        (INI.replace("var/hub.sqlite", "hub.ini/x"), "Error: hubrepo.database cannot be"),
    ],
)
@pytest.mark.parametrize("command", ["init", "list-orgs"])
def test_whatever_is_wrong_with_the_ini_ends_without_a_traceback(run, ini, text, word, command):
    ini.write_text(text)
    result = run(command)
    assert result.exit_code == 1
    assert result.stderr.startswith(word)
    assert len(result.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_said_before_the_only_key_is_shown(run, ini):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = f"[server:main]\nuse = egg:hubrepo\nlisten = {address}\n"
        extra = "hubrepo.first_organisation = acme\nhubrepo.migrate_on_start = true\n"
        ini.write_text(INI + extra + server)
        result = run("serve")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot listen at {address}")
    assert "kpf_" not in result.output
    assert "acme" not in run("list-orgs").stdout


def test_a_folder_that_urls_cannot_name_is_refused(tmp_path):
    folder = tmp_path / "what?"
    folder.mkdir()
    (folder / "hub.ini").write_text(INI)
    result = CliRunner().invoke(cli.main, ["-c", str(folder / "hub.ini"), "init"])
    assert result.exit_code == 1
    assert "has a '?' in its name" in result.stderr


def test_an_ini_that_is_not_there_is_said_so(tmp_path):
    result = CliRunner().invoke(cli.main, ["-c", str(tmp_path / "no.ini"), "list-orgs"])
    assert result.exit_code == 1
    assert "there is no" in result.stderr


@pytest.mark.parametrize("program", ["bootstrap_org", "issue_api_key"])
def test_the_names_of_the_reference_work_as_programs(program, ready, ini, monkeypatch, capsys):
    ready("bootstrap-org", "--name", "Acme", "--slug", "acme")
    arguments = {
        "bootstrap_org": ["--name", "B", "--slug", "b"],
        "issue_api_key": ["--org", "acme"],
    }[program]
    monkeypatch.setattr("sys.argv", [program, *arguments, "-c", str(ini)])
    with pytest.raises(SystemExit) as caught:
        getattr(cli, program)()
    assert caught.value.code == 0
    assert re.search(rf"^    {KEY}$", capsys.readouterr().out, re.MULTILINE)
