"""Commands of `hubrepo`, called in this process, for a hub that an ini file describes."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import hubrepo
from hubrepo import cli
from tests.support.hub import Hub, migrated

INI = """
[app:main]
use = egg:hubrepo
hubrepo.database = sqlite:///%(here)s/hub.sqlite
hubrepo.blobs = osfs://%(here)s/blobs
"""


class Commands:
    """The commands of one hub, whose rows and bytes lie in `folder`. A call is a line of a shell."""

    def __init__(self, folder: Path, ini: str = INI) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.ini = folder, folder / "hub.ini"
        self.ini.write_text(ini)

    def initialise(self) -> "Commands":
        """Do what `init` does, by copying a migrated database."""
        (self.folder / "hub.sqlite").write_bytes(migrated(hubrepo.FEATURES))
        return self

    def run(self, line: str, **options: Any) -> Result:
        """Run a command and return all that is known of its end."""
        done = CliRunner().invoke(cli.main, ["-c", str(self.ini), *line.split()], **options)
        assert "Traceback" not in done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    def __call__(self, line: str, ends: int = 0, **options: Any) -> str:
        """Run a command and return its standard output; `ends` is its exit status."""
        done = self.run(line, **options)
        assert done.exit_code == ends, done.output
        assert ends or done.stderr == ""
        return done.stdout

    def refuses(self, line: str, ends: int = 1) -> str:
        """Run a command that fails and return the only line of its standard error."""
        done = self.run(line)
        assert done.exit_code == ends, done.output
        *others, last = done.stderr.splitlines()
        assert others == []
        assert last.startswith("Error: ")
        return last.removeprefix("Error: ")

    def open(self, request: pytest.FixtureRequest) -> Hub:
        """Open the hub in this process, until what the request stands for ends."""
        hub = Hub.below(self.folder, database=f"sqlite:///{self.folder}/hub.sqlite")
        request.addfinalizer(hub.registry.database.close)
        return hub
