"""What the benchmarks share: rounds that take turns, a verdict, and servers to compare with."""

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))


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
