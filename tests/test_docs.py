"""What the documents say is true: settings, commands, the tour, the first start."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from hubrepo import cli
from tests.support.features import HAS_ARTIFACTS, needs_artifacts
from tests.support.hub import Hub
from tests.support.process import PROJECT, HubProcess, free_port
from tests.support.views import views_of

pytestmark = pytest.mark.long

README = (PROJECT / "README.md").read_text(encoding="utf-8")
SETTINGS = PROJECT / "docs" / "settings.md"
BIN = Path(sys.executable).parent

INTRODUCTION = """# Settings

Lines of the section `[app:main]`, each with the environment variable that goes before it. A size is
in bytes. A line that is not here stops the start. Written by `pytest tests/test_docs.py --write`.

| Setting | Variable | Default | |
|---|---|---|---|
"""


def blocks(label: str) -> list[str]:
    """The blocks of the README that are marked with `label`."""
    return re.findall(rf"```sh {label}\n(.*?)```", README, re.DOTALL)


def settings_page(hub: Hub) -> str:
    def default(value: object) -> str:
        if isinstance(value, bool):
            return f"`{str(value).lower()}`"
        return "required" if "MISSING" in repr(value) else f"`{value}`" if value != "" else "none"

    lines = sorted(hub.registry.known_settings.values(), key=lambda line: line.key)
    return INTRODUCTION + "".join(
        f"| `{line.key}` | `{line.variable}` | {default(line.default)} | {line.help} |\n"
        for line in lines
    )


def test_every_setting_is_documented(hub: Hub, pytestconfig: pytest.Config):
    page = settings_page(hub)
    if pytestconfig.getoption("--write"):
        SETTINGS.write_text(page, encoding="utf-8")
    known = SETTINGS.read_text(encoding="utf-8").splitlines()
    if not HAS_ARTIFACTS:
        known = [line for line in known if not line.startswith("| `hubrepo.artifacts.")]
    assert page.splitlines() == known


@pytest.mark.parametrize("name", ["development.ini", "production.ini"])
def test_every_line_of_the_hub_and_its_server_is_explained(name):
    text = (PROJECT / name).read_text(encoding="utf-8")
    lines = text[text.index("[app:main]") : text.index("[pshell]")].splitlines()
    for before, line in pairwise(lines):
        if line and not line.startswith(("[", "#", "use = egg:hubrepo")):
            assert before.startswith("#"), line


def test_every_command_is_in_the_list_of_changes():
    changes = (PROJECT / "CHANGES.md").read_text(encoding="utf-8")
    assert [name for name in cli.main.commands if f"`{name}`" not in changes] == []


def test_every_url_is_in_the_api_page(hub: Hub):
    page = (PROJECT / "docs" / "api.md").read_text(encoding="utf-8")
    for view in views_of(hub):
        path = view.path.removesuffix("/stable")
        words = [each for each in path.split("/") if re.fullmatch(r"[a-z.]+", each)] or ["/"]
        for method in set(view.methods) - {"HEAD"}:
            assert re.search(rf"{method} [^|]*{words[-1]}|{words[-1]}`", page), (method, view.path)


def test_every_test_that_the_page_on_testing_names_is_there():
    page = (PROJECT / "docs" / "testing.md").read_text(encoding="utf-8")
    rows = [line for line in page.partition("## Promises")[2].splitlines() if "::" in line]
    assert len(rows) > 300
    for row in rows:
        for name in re.findall("`([^`]*::[^`]*)`", row):
            file, *parts = name.split("::")
            text = (PROJECT / "tests" / file).read_text(encoding="utf-8")
            for part in parts:
                assert re.search(rf"^ *(def|class) {part}\b", text, re.MULTILINE), name


def run(script: str, folder: Path, **variables: str) -> str:
    environ = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **variables}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("tour")) as process:
        yield process


def test_the_tour_works_as_it_is_written(running: HubProcess, tmp_path: Path):
    helper = re.search(r"^hub\(\) .*$", README, re.MULTILINE)
    assert helper is not None
    tour = blocks("tour")
    assert len(tour) >= 5
    for block in tour:
        script = f"{helper[0]}\n{block}"
        output = run(script, tmp_path, HUB=f"http://127.0.0.1:{running.port}/api", KEY=running.key)
        for expected in re.findall(r"^# prints: (.*)$", block, re.MULTILINE):
            assert expected in output, block
    with running.wire() as wire:
        assert len(wire.ask("GET", "/api/packages/widget/versions").json) == 2


@needs_artifacts
def test_the_tour_of_artifacts_works_as_it_is_written(running: HubProcess, tmp_path: Path):
    """Beside the ini file of the hub, as where `make serve` was typed."""
    shutil.copy(running.ini, running.folder / "development.ini")
    (running.folder / ".venv").mkdir()
    (running.folder / ".venv" / "bin").symlink_to(BIN)
    tour = blocks("artifacts")
    assert len(tour) >= 4
    # Each block goes on with the variables of those before it.
    marked = "\necho '== next'\n".join(tour)
    output = run(marked, running.folder, HUB=f"http://127.0.0.1:{running.port}/api")
    for block, printed in zip(tour, output.split("== next"), strict=True):
        for expected in re.findall(r"^# prints: (.*)$", block, re.MULTILINE):
            before, found, printed = printed.partition(expected)
            assert found, (block, before)
    assert (running.folder / "copy.tar.gz").stat().st_size == 3_000_000
    assert "artifacts:grant" in run("hubrepo show-log --org acme", running.folder)


def test_the_operators_commands_work_as_they_are_written(running: HubProcess, tmp_path: Path):
    accounts, storage = blocks("operator")
    shutil.copy(running.ini, running.folder / "development.ini")
    output = run(accounts, running.folder, PASSWORD="correct horse")
    assert "Created organisation: Initech (initech)" in output
    assert "52428800" in run("hubrepo list-orgs", running.folder)
    output = run(storage, running.folder)
    for told in (
        "all is well",
        "would be removed",
        "Backed up",
        "Exported acme",
        "Proved the export",
    ):
        assert told in output


@contextmanager
def serving(folder: Path, *command: str, port: int, **variables: str) -> Iterator[Path]:
    """A command that serves, once it does; its output is in the file that is given."""
    log = folder / "output"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=out, start_new_session=True,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **variables},
        )  # fmt: skip
    try:
        for _ in range(600):
            done = subprocess.run(
                ["curl", "--silent", "--fail", f"http://127.0.0.1:{port}/_ah/health"],
                capture_output=True, check=False,
            )  # fmt: skip
            if done.returncode == 0 or process.poll() is not None:
                break
            time.sleep(0.05)
        assert done.returncode == 0, log.read_text()
        yield log
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def test_make_serve_shows_a_line_that_works_when_pasted_and_shows_no_key_again(tmp_path: Path):
    """In a copy of the project whose virtual environment is there already."""
    for name in ("Makefile", "development.ini", "setup.py"):
        shutil.copy2(PROJECT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(BIN)
    (tmp_path / ".venv" / ".serving").touch()
    port = free_port()
    with serving(tmp_path, "make", "serve", f"PORT={port}", port=port) as log:
        shown = log.read_text()
        assert len(re.findall(r"kpf_[0-9a-f]{8}_", shown)) == 1
        (line,) = re.findall(r"^ +(curl .*)$", shown, re.MULTILINE)
        assert run(line, tmp_path) == "[]"
    with serving(tmp_path, "make", "serve", f"PORT={port}", port=port) as log:
        assert "kpf_" not in re.sub(r"key:kpf_\w{8}", "", log.read_text())
        assert run(line, tmp_path) == "[]"


def test_pserve_takes_a_port_and_a_copied_ini_is_another_hub(tmp_path: Path):
    shutil.copy(PROJECT / "development.ini", tmp_path)
    port = free_port()
    with serving(tmp_path, "pserve", "development.ini", f"http_port={port}", port=port):
        assert (tmp_path / "var" / "hub.sqlite").is_file()
        assert "SLUG" in run("hubrepo list-orgs", tmp_path)


def test_production_serves_with_its_secrets_and_says_in_one_sentence_what_it_lacks(tmp_path: Path):
    text = (PROJECT / "production.ini").read_text(encoding="utf-8")
    blobs = text.replace("/var/lib/hubrepo/blobs", f"{tmp_path}/blobs")
    (tmp_path / "production.ini").write_text(blobs, encoding="utf-8")
    port = free_port()
    for command in (["hubrepo", "-c", "production.ini", "serve"], ["pserve", "production.ini"]):
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        last = done.stderr.strip().splitlines()[-1]
        assert re.search(r"hubrepo\.database is not set: .*HUBREPO_DATABASE", last)
        assert "Traceback" not in done.stderr
    secrets = {"HUBREPO_DATABASE": f"sqlite:///{tmp_path}/hub.sqlite"}
    run("hubrepo -c production.ini init", tmp_path, **secrets)
    key = run(
        "hubrepo -c production.ini bootstrap-org --name A --slug a --quiet", tmp_path, **secrets
    ).strip()
    with serving(
        tmp_path, "pserve", "production.ini", f"http_port={port}", port=port, **secrets
    ) as log:
        call = (
            f"curl --silent -H 'Authorization: Api-Key {key}' http://127.0.0.1:{port}/api/packages"
        )
        assert run(call, tmp_path) == "[]"
    # The process has ended: its log is complete.
    assert key not in log.read_text()
    assert '"logger": "hubrepo.access"' in log.read_text()


@pytest.mark.parametrize("command", ["proutes", "pviews", "pshell"])
def test_pyramids_own_commands_work(command, tmp_path: Path):
    shutil.copy(PROJECT / "development.ini", tmp_path)
    scripts = {
        "proutes": "proutes development.ini",
        "pviews": "pviews development.ini /_ah/health",
        "pshell": "echo 'print(db, Organisation.__tablename__)' | pshell -p python development.ini",
    }
    output = run(scripts[command], tmp_path)
    if command == "pviews":
        assert "hubrepo.kernel.web.operations.health" in output
    if command == "pshell":
        assert "accounts_organisation" in output
