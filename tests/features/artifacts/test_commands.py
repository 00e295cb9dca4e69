"""`hubrepo issue-artifact-token`, as operators and their scripts use it."""

import re

import pytest
from click.testing import CliRunner

from hubrepo import cli
from tests.support.artifacts import all_rows, caller, sha256
from tests.support.hub import Client, Hub

pytestmark = pytest.mark.long

INI = """
[app:main]
use = egg:hubrepo
hubrepo.database = sqlite:///%(here)s/var/hub.sqlite
hubrepo.blobs = osfs://%(here)s/var/blobs
"""
ALONE = re.compile(r"[0-9a-f]{48}\n")


@pytest.fixture
def run(tmp_path):
    """Calls `hubrepo`, for a hub with the organisations acme and beta."""
    ini = tmp_path / "hub.ini"
    ini.write_text(INI)

    def call(*arguments):
        return CliRunner().invoke(cli.main, ["-c", str(ini), *arguments])

    assert call("init").exit_code == 0
    for slug in ("acme", "beta"):
        assert call("bootstrap-org", "--name", slug.upper(), "--slug", slug).exit_code == 0
    return call


@pytest.fixture
def hub(run, tmp_path):
    """The same hub, running."""
    hub = Hub.below(
        tmp_path / "var",
        database=f"sqlite:///{tmp_path}/var/hub.sqlite",
        blobs=f"osfs://{tmp_path}/var/blobs",
    )
    yield hub
    hub.registry.database.close()


@pytest.fixture
def issue(run):
    """Calls the command; what it shows is a token."""

    def call(*arguments):
        done = run("issue-artifact-token", *arguments)
        assert (done.exit_code, done.stderr) == (0, "")
        assert ALONE.fullmatch(done.stdout)
        return done.stdout.strip()

    return call


def with_token(hub, slug, token):
    return caller(Client(hub, slug, "")).like(token)


@pytest.mark.parametrize("flags", [[], ["--admin"]])
def test_a_token_is_printed_alone_on_its_line_and_is_good(issue, hub, flags):
    token = issue("--org", "acme", "--label", "für CI", *flags)
    told = with_token(hub, "acme", token).get(f"/fetch/{token}").json
    assert (told["token"], told["admin"]) == (sha256(token), bool(flags))
    assert told["label"] == "für CI"
    rows = all_rows(hub)
    assert token not in rows
    assert told["token"] in rows


def test_a_second_admin_token_is_refused_unless_forced(run, issue, hub):
    first = issue("--org", "acme", "--admin")
    done = run("issue-artifact-token", "--org", "acme", "--admin")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: organisation 'acme' has an admin token already")
    assert len(done.stderr.splitlines()) == 1
    issue("--org", "beta", "--admin")
    issue("--org", "acme")
    second = issue("--org", "acme", "--admin", "--force")
    with_token(hub, "acme", second).prune(first)
    with_token(hub, "acme", second).prune(second)
    # None is left, so nothing need be forced.
    issue("--org", "acme", "--admin")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--org", "nobody"), "no organisation with slug 'nobody'"),
        (
            ("--org", "acme", "--label", "x" * 101),
            "'label' must be one line of at most 100 characters",
        ),
        (
            ("--org", "acme", "--label", "a\nb"),
            "'label' must be one line of at most 100 characters",
        ),
        (
            ("--org", "acme", "--label", "\udcff"),
            "'label' must be one line of at most 100 characters",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence_and_noted(run, hub, arguments, sentence):
    done = run("issue-artifact-token", *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"Error: {sentence}\n"
    events = Client(hub, "acme", "").events()
    assert [each.outcome for each in events if each.action == "artifacts:register"] == (
        ["refused"] if "acme" in arguments else []
    )


def test_who_issued_it_is_in_the_audit_under_the_digest_of_the_token(issue, hub):
    token = issue("--org", "acme", "--admin", "--label", "ci")
    event = Client(hub, "acme", "").events()[0]
    name = f"token:{sha256(token)[:12]}"
    assert (event.action, event.outcome, event.subject) == ("artifacts:register", "done", name)
    assert event.actor.startswith("operator:")
    assert event.details == {"token": name, "admin": True, "label": "ci"}


def test_all_tokens_are_listed_by_the_digests_that_prune_them(run, issue, hub):
    def listed():
        heads, *rows = run("list-artifact-tokens", "--org", "acme").stdout.splitlines()
        assert heads.split() == ["DIGEST", "ADMIN", "CREATED", "LAST", "USED", "LABEL"]
        return {row.split()[0]: row.split()[1:] for row in rows}

    lost, ci = issue("--org", "acme", "--admin"), issue("--org", "acme", "--label", "CI")
    theirs = issue("--org", "beta")
    with_token(hub, "acme", ci).get("/product/access")
    hub.registry.afterwards.settle()
    rows = listed()
    assert list(rows)[:2] == [sha256(lost), sha256(ci)]
    assert (rows[sha256(lost)][0], rows[sha256(lost)][2:]) == ("yes", ["-"])
    assert (rows[sha256(ci)][0], rows[sha256(ci)][3]) == ("no", "CI")
    assert sha256(theirs) not in rows
    other = issue("--org", "acme", "--admin", "--force")
    with_token(hub, "acme", other).prune(sha256(lost))
    assert sha256(lost) not in listed()


def test_an_organisation_must_be_named(run):
    done = run("issue-artifact-token", "--admin")
    assert done.exit_code == 2
    assert "Usage:" in done.stderr


def test_a_feature_s_commands_are_the_hub_s_as_long_as_it_is_there(monkeypatch):
    monkeypatch.setattr("hubrepo.FEATURES", ("hubrepo.features.organisation",))
    assert list(cli._of_features()) == []
    monkeypatch.setattr("hubrepo.FEATURES", ("hubrepo.features.artifacts",))
    assert [each.name for each in cli._of_features()] == [
        "issue-artifact-token",
        "list-artifact-tokens",
    ]
