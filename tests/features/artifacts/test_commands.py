"""`hubrepo issue-artifact-token`, as operators and their scripts use it."""

import re

import pytest
from click.testing import CliRunner

from hubrepo import cli
from tests.support.artifacts import Caller, all_rows, sha256
from tests.support.hub import Client, Hub

INI = """
[app:main]
use = egg:hubrepo
hubrepo.database = sqlite:///%(here)s/hub.sqlite
hubrepo.blobs = osfs://%(here)s/blobs
"""
ALONE = re.compile(r"[0-9a-f]{48}\n")
BAD_LABEL = "'label' must be one line of at most 100 characters"


@pytest.fixture
def hub(tmp_path):
    """A hub with the organisations acme and beta, running, and its ini file."""
    (tmp_path / "hub.ini").write_text(INI)
    hub = Hub.below(tmp_path, database=f"sqlite:///{tmp_path}/hub.sqlite")
    with hub.registry.database.write() as db:
        for slug in ("acme", "beta"):
            hub.accounts(db).create_organisation(slug.upper(), slug)
    yield hub
    hub.registry.database.close()


@pytest.fixture
def run(hub, tmp_path):
    """Calls `hubrepo`."""
    return lambda *arguments: CliRunner().invoke(
        cli.main, ["-c", str(tmp_path / "hub.ini"), *arguments]
    )


@pytest.fixture
def issue(run):
    """Calls the command; what it shows is a token."""

    def call(*arguments):
        done = run("issue-artifact-token", *arguments)
        assert (done.exit_code, done.stderr) == (0, "")
        assert ALONE.fullmatch(done.stdout)
        return done.stdout.strip()

    return call


def test_a_token_is_printed_alone_on_its_line_is_good_and_in_the_audit_by_its_digest(issue, hub):
    for flags in ([], ["--admin"]):
        token = issue("--org", "acme", "--label", "für CI", *flags)
        told = Caller(hub, "acme", token).get(f"/fetch/{token}").json
        assert (told["token"], told["admin"]) == (sha256(token), bool(flags))
        assert told["label"] == "für CI"
        assert (token in all_rows(hub), told["token"] in all_rows(hub)) == (False, True)
        event = Client(hub, "acme", "").events()[0]
        name = f"token:{sha256(token)[:12]}"
        assert (event.action, event.outcome, event.subject) == ("artifacts:register", "done", name)
        assert event.actor.startswith("operator:")
        assert event.details == {"token": name, "admin": bool(flags), "label": "für CI"}


def test_a_second_admin_token_is_refused_unless_forced(run, issue, hub):
    first = issue("--org", "acme", "--admin")
    done = run("issue-artifact-token", "--org", "acme", "--admin")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: organisation 'acme' has an admin token already")
    assert len(done.stderr.splitlines()) == 1
    issue("--org", "beta", "--admin")
    second = issue("--org", "acme", "--admin", "--force")
    Caller(hub, "acme", second).prune(first)
    Caller(hub, "acme", second).prune(second)
    # None is left, so nothing need be forced.
    issue("--org", "acme", "--admin")


def test_what_cannot_be_done_is_said_in_one_sentence_and_noted(run, hub):
    labels = [("--org", "acme", "--label", each) for each in ("x" * 101, "a\nb", "\udcff")]
    wrong = dict.fromkeys(labels, BAD_LABEL)
    wrong["--org", "nobody"] = "no organisation with slug 'nobody'"
    for arguments, sentence in wrong.items():
        done = run("issue-artifact-token", *arguments)
        assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"Error: {sentence}\n")
    events = Client(hub, "acme", "").events()
    outcomes = [each.outcome for each in events if each.action == "artifacts:register"]
    assert outcomes == ["refused"] * 3
    done = run("issue-artifact-token", "--admin")
    assert done.exit_code == 2
    assert "Usage:" in done.stderr


def test_all_tokens_are_listed_by_the_digests_that_prune_them(run, issue, hub):
    def listed():
        heads, *rows = run("list-artifact-tokens", "--org", "acme").stdout.splitlines()
        assert heads.split() == ["DIGEST", "ADMIN", "CREATED", "LAST", "USED", "LABEL"]
        return {row.split()[0]: row.split()[1:] for row in rows}

    lost, ci = issue("--org", "acme", "--admin"), issue("--org", "acme", "--label", "CI")
    theirs = issue("--org", "beta")
    Caller(hub, "acme", ci).get("/product/access")
    hub.registry.afterwards.settle()
    rows = listed()
    assert list(rows)[:2] == [sha256(lost), sha256(ci)]
    assert (rows[sha256(lost)][0], rows[sha256(lost)][2:]) == ("yes", ["-"])
    assert (rows[sha256(ci)][0], rows[sha256(ci)][3]) == ("no", "CI")
    assert sha256(theirs) not in rows
    other = issue("--org", "acme", "--admin", "--force")
    Caller(hub, "acme", other).prune(sha256(lost))
    assert sha256(lost) not in listed()


def test_a_feature_s_commands_are_the_hub_s_as_long_as_it_is_there(monkeypatch):
    commands = {"organisation": [], "artifacts": ["issue-artifact-token", "list-artifact-tokens"]}
    for feature, names in commands.items():
        monkeypatch.setattr("hubrepo.FEATURES", (f"hubrepo.features.{feature}",))
        assert [each.name for each in cli._of_features()] == names
