"""An artifact is never whole in memory, however large it is, and however many come and go at once."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.memory import forget_peak, memory
from tests.support.process import HubProcess
from tests.support.uploads import MIB, TokenWire, first_admin

pytestmark = pytest.mark.stress

# MiB beyond what an idle hub needs, as for packages.
MOST = 64
SEVERAL = 4
SIZE = 1024 * MIB


@pytest.fixture
def running(tmp_path: Path) -> Iterator[HubProcess]:
    settings = {"artifacts.max_upload_bytes": str(1024 * MIB)}
    with HubProcess(tmp_path / "hub", settings) as hub:
        yield hub


@pytest.fixture
def token(running: HubProcess) -> str:
    """Of somebody who did before whatever takes memory for good."""
    raw = first_admin(running)
    with TokenWire(running.port, raw) as wire:
        assert wire.create("engine").status == 201
        for number in range(20):
            assert wire.upload("engine", f"small-{number}", os.urandom(2 * MIB)).status == 201
            assert wire.download("engine", f"small-{number}").status == 200
    return raw


@pytest.fixture
def new_file(tmp_path: Path) -> Callable[[str, int], tuple[Path, str]]:
    """Makes files of random bytes: where each is, and its checksum."""

    def make(name: str, size: int) -> tuple[Path, str]:
        path, hashed = tmp_path / name, hashlib.sha256()
        with path.open("wb") as file:
            for _ in range(0, size, MIB):
                piece = os.urandom(MIB)
                hashed.update(piece)
                file.write(piece)
        return path, f"sha256:{hashed.hexdigest()}"

    return make


def more(hub: HubProcess, act: Callable[[], object]) -> float:
    """The MiB that the hub needs at most, beyond what it needs now, while `act` runs."""
    idle = memory(hub.pid)
    forget_peak(hub.pid)
    act()
    return memory(hub.pid, "VmHWM") - idle


def test_memory_is_flat_while_one_goes_up_and_down(
    running: HubProcess,
    token: str,
    new_file: Callable[[str, int], tuple[Path, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, checksum = new_file("large.bin", SIZE)
    with TokenWire(running.port, token, timeout=300) as wire:
        told: list[str] = []
        up = more(
            running,
            lambda: told.append(wire.upload_file("engine", "v1", path).json["checksum"]),
        )
        down = more(running, lambda: told.append(wire.checksum("engine", "v1")))
    with capsys.disabled():
        print(f"\n{SIZE // MIB} MiB: {up:.0f} MiB more while it goes up, {down:.0f} down")
    assert told == [checksum, checksum]
    assert max(up, down) < MOST


def test_memory_is_flat_while_several_go_up_and_down(
    running: HubProcess,
    token: str,
    new_file: Callable[[str, int], tuple[Path, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [new_file(f"large-{number}.bin", 128 * MIB) for number in range(SEVERAL)]
    start = threading.Barrier(SEVERAL)

    def transfer(number: int) -> str:
        """Up and down; the checksum of what came down."""
        with TokenWire(running.port, token, timeout=300) as wire:
            start.wait()
            wire.upload_file("engine", f"v{number}", files[number][0])
            return wire.checksum("engine", f"v{number}")

    def transfer_all() -> None:
        with ThreadPoolExecutor(SEVERAL) as pool:
            assert list(pool.map(transfer, range(SEVERAL))) == [each for _, each in files]

    needed = more(running, transfer_all)
    with capsys.disabled():
        print(f"\n{SEVERAL} times 128 MiB at once: {needed:.0f} MiB more")
    assert needed < MOST
    assert list((running.blobs / ".stage").iterdir()) == []
