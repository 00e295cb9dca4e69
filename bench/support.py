"""What the benchmarks share: rounds that take turns, a verdict, and servers to compare with."""

import os
import statistics
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from tests.support.archives import manifest  # noqa: E402 - found by the line above
from tests.support.process import (  # noqa: E402
    FORM_TYPE,
    Answer,
    Wire,
    around_file,
)
from tests.support.process import free_port as free_port  # noqa: E402 - for those who import this

MIB = 1024**2


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder on a disk, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="hubrepo-bench-", dir=_ground()) as name:
        yield Path(name)


def _ground() -> Path:
    ground = PROJECT / "var"
    ground.mkdir(exist_ok=True)
    return ground


def take_turns(
    sides: Mapping[str, Callable[[], float]], rounds: int = 7, warm_up: int = 1
) -> dict[str, float]:
    """The median of what each side measures, in rounds in which all have their turn.

    So what slows the machine down for a while slows all sides down.
    """
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(warm_up + rounds):
        for name, measure in sides.items():
            value = measure()
            if number >= warm_up:
                measured[name].append(value)
    return {name: statistics.median(values) for name, values in measured.items()}


def write_archive(path: Path, name: str, members: int, size: int) -> None:
    """A package of `members` files of `size` random bytes, stored and deflated by turns.

    Deflating them gains nothing, as with pictures or archives: it only has to be undone to check.
    """
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package.toml", manifest(name))
        for number in range(members):
            info = zipfile.ZipInfo(f"assets/{number:04}.bin", (2026, 1, 2, 3, 4, 6))
            info.compress_type = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            with archive.open(info, "w", force_zip64=size > 1024 * MIB) as member:
                for at in range(0, size, MIB):
                    member.write(os.urandom(min(MIB, size - at)))


def publish_file(wire: Wire, name: str, path: Path) -> Answer:
    """Publish the archive at `path`, which is never whole in memory."""
    before, after = around_file(path.name)
    length = len(before) + path.stat().st_size + len(after)
    headers = {"Content-Type": FORM_TYPE, "Content-Length": str(length)}
    wire.socket.sendall(wire.head("POST", f"/api/packages/{name}/versions/", headers) + before)
    with path.open("rb") as file:
        wire.socket.sendfile(file)
    wire.socket.sendall(after)
    answer = wire.receive("POST")
    if answer.status != 201:
        raise RuntimeError(answer)
    return answer


class Verdict:
    """Collects what was promised and what was measured; the process exits 1 if a promise is broken."""

    def __init__(self, title: str) -> None:
        self._broken = False
        print(title)

    def show(self, label: str, value: float, unit: str) -> None:
        """One measured side."""
        print(f"  {label:<58}{value:>12,.2f} {unit}")

    def at_least(self, label: str, value: float, limit: float) -> None:
        """A ratio that must not be smaller."""
        self._judge(label, value, limit, ">=", kept=value >= limit)

    def at_most(self, label: str, value: float, limit: float) -> None:
        """A ratio that must not be larger."""
        self._judge(label, value, limit, "<=", kept=value <= limit)

    def holds(self, label: str, *, kept: bool) -> None:
        """A claim without a number."""
        print(f"  {label:<58}{'kept' if kept else 'BROKEN':>12}")
        self._broken |= not kept

    def _judge(self, label: str, value: float, limit: float, sign: str, *, kept: bool) -> None:
        state = "kept" if kept else "BROKEN"
        print(f"  {label:<58}{value:>12.2f} (promised {sign} {limit:g}): {state}")
        self._broken |= not kept

    def close(self) -> None:
        """Exit 1 if a promise is broken."""
        sys.exit(1 if self._broken else 0)
