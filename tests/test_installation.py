"""An installed hub works: sdist and wheel are complete, and the wheel runs outside the project."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.db import Database, is_current, upgrade
from tests.support.archives import package_zip
from tests.support.process import PROJECT, HubProcess, Wire

pytestmark = pytest.mark.long

NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.egg-info")
BUILD_SDIST = "import setuptools.build_meta as backend; backend.build_sdist('dist')"


def run(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that the search for secrets does not read: the README's example key is in the metadata."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def project() -> Iterator[Path]:
    """A copy of what distributions are built from, with an sdist and a wheel in `dist`."""
    with TemporaryDirectory() as folder:
        build(Path(folder))
        yield Path(folder)


def build(folder: Path) -> None:
    for name in ("hubrepo", "tests", "deploy"):
        shutil.copytree(PROJECT / name, folder / name, ignore=NOT_SHIPPED)
    for file in PROJECT.iterdir():
        if file.is_file():
            shutil.copy2(file, folder)
    run(sys.executable, "-c", BUILD_SDIST, cwd=folder)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    # From the sdist, which so is complete as well.
    pip_wheel = ("pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", "dist")
    run(sys.executable, "-m", *pip_wheel, sdist, cwd=folder)


def files_below(folder: Path) -> set[str]:
    return {str(file.relative_to(folder.parent)) for file in folder.rglob("*") if file.is_file()}


def test_sdist_and_wheel_have_every_file_of_the_package_and_no_test(project: Path):
    shipped = files_below(project / "hubrepo")
    assert len([name for name in shipped if "/migrations/" in name]) >= 8
    (wheel,) = (project / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == shipped
    (sdist,) = (project / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert shipped | {"production.ini", "development.ini", "deploy/nginx.conf"} <= files
    assert [name for name in files if name.startswith("tests/")] == []


def test_an_installed_wheel_serves_a_package_outside_the_project(project: Path, outside: Path):
    """With the requirements that it names, from the package index: so they are complete."""
    (wheel,) = (project / "dist").glob("*.whl")
    run(sys.executable, "-m", "venv", "venv", cwd=outside)
    environment = outside / "venv" / "bin"
    run(environment / "pip", "install", "--quiet", wheel, cwd=outside)
    hub = HubProcess(outside / "hub", {"first_organisation": ""}, program=[environment / "hubrepo"])
    assert hub.spawn("init") == "The database is up to date."
    key = hub.spawn("bootstrap-org", "--name", "Acme", "--slug", "acme", "--quiet")
    with hub, Wire(hub.port, key) as wire:
        assert wire.publish("widget", package_zip("widget")).status == 201
        answer = wire.ask("GET", "/api/packages/widget/latest")
        assert (answer.status, answer.body[:2]) == (200, b"PK")


@pytest.mark.parametrize("look", [upgrade, is_current])
def test_a_branch_without_migrations_is_an_incomplete_installation(look, tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path}/hub.sqlite")
    with pytest.raises(Misconfigured, match=f"no migrations in {tmp_path}: .* incomplete"):
        look(database, [tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_make_serve_installs_only_what_serving_needs(tmp_path: Path):
    for name in ("Makefile", "setup.py"):
        shutil.copy2(PROJECT / name, tmp_path)
    steps = {
        target: subprocess.run(
            ["make", "--dry-run", target], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        for target in ("serve", "test")
    }
    assert "pip install" in steps["serve"]
    assert "[dev]" not in steps["serve"]
    assert "[dev]" in steps["test"]
    assert "echo" in steps["serve"].partition("pip install")[0]
