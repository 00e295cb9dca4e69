"""The suite notices a broken promise: ten are broken one by one in a copy of the project.

Each mutation is one line of the source. The tests named beside it are part of `make check`; at least one
of them must fail.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.stress.conftest import Budget
from tests.support.copies import copy_project, run_tests

pytestmark = pytest.mark.stress


@dataclass(frozen=True)
class Mutation:
    """A promise, the text of a file that keeps it, what stands there instead, and tests of `make check`."""

    promise: str
    file: str
    kept: str
    broken: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "isolation: a package of another organisation is not there",
        "hubrepo/features/packages/catalogue.py",
        "    Package.organisation_id == OWNER, Package.name == NAME\n",
        "    Package.organisation_id > 0, Package.name == NAME\n",
        ("tests/architecture", "tests/features/packages/test_contract_credentials.py"),
    ),
    Mutation(
        "durability: bytes are in their place before the row is committed",
        "hubrepo/kernel/blobs/services.py",
        'return "blobs"',
        'return "~~blobs"',
        ("tests/kernel/blobs", "tests/features/pages"),
    ),
    Mutation(
        "parsing: a line feed alone ends no line of a request",
        "hubrepo/door.py",
        'return text.count(b"\\n") != pairs or',
        "return False and",
        ("tests/test_malformed_requests.py",),
    ),
    Mutation(
        "races: on SQLite a writer holds the right to write from its first statement",
        "hubrepo/kernel/db/engine.py",
        '"BEGIN IMMEDIATE"',
        '"BEGIN DEFERRED"',
        ("tests/kernel/db", "tests/features/packages/test_races.py"),
    ),
    Mutation(
        "ranges: a part has as many bytes as were asked for",
        "hubrepo/kernel/serving/ranges.py",
        "min(end, size - 1) - start + 1",
        "min(end, size - 1) - start",
        ("tests/kernel/serving",),
    ),
    Mutation(
        "limits: an organisation publishes no more versions than it may",
        "hubrepo/features/packages/services.py",
        "if self._published() >= limit:",
        "if self._published() > limit:",
        ("tests/features/packages",),
    ),
    Mutation(
        "migrations: a migrated database is what the models say",
        "hubrepo/kernel/db/migrations/versions/0004_keys.py",
        "    op.create_index(",
        "    (lambda *_: None)(",
        ("tests/kernel/db/test_migrations.py", "tests/architecture/test_structure.py"),
    ),
    Mutation(
        "commands: a check that finds damage ends with 1",
        "hubrepo/cli/storage.py",
        "sys.exit(DAMAGED if damaged",
        "sys.exit(0 if damaged",
        ("tests/test_storage_commands.py",),
    ),
    Mutation(
        "description: every field of an answer is described",
        "hubrepo/features/packages/description.py",
        '    "content_hash": HASH,\n',
        "",
        ("tests/features/packages",),
    ),
    Mutation(
        "sandbox: a page on the hub's own host is of no origin",
        "hubrepo/features/pages/visits.py",
        "sandbox allow-scripts",
        "sandbox allow-same-origin allow-scripts",
        ("tests/features/pages",),
    ),
)


def is_noticed(mutation: Mutation) -> bool:
    """True if a test fails in a copy of the project that has the mutation."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder)
        done = run_tests(folder, "-x", "-m", "not stress", *mutation.tests)
        assert done.returncode == 0, "without the mutation: " + done.stdout[-2000:]
        file = folder / mutation.file
        text = file.read_text(encoding="utf-8")
        assert mutation.kept in text, mutation
        file.write_text(text.replace(mutation.kept, mutation.broken, 1), encoding="utf-8")
        done = run_tests(folder, "-x", "-m", "not stress", *mutation.tests)
    # 1 is "some tests failed"; anything else but 0 is a mistake of this test.
    assert done.returncode in {0, 1}, done.stdout[-2000:] + done.stderr[-2000:]
    return done.returncode == 1


def test_each_broken_promise_is_noticed_by_a_test_that_runs_at_every_push(budget: Budget) -> None:
    unnoticed = [each.promise for each in budget.points(MUTATIONS) if not is_noticed(each)]
    assert unnoticed == []
