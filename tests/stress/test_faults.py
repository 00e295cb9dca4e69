"""A fault at every step of what changes a hub: an error, or the end of the process.

Whatever was acknowledged is there, whatever was not is there whole or not at all, nothing but bytes
without a row is left over, and the hub goes on.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from hubrepo.kernel.base import HubError
from tests.stress.states import Step
from tests.stress.world import World, found_in, page_published, published, uploaded
from tests.support.faults import Faults, Mode, faults_below
from tests.support.process import Answer

pytestmark = pytest.mark.stress

# An operator's command may end in these: `hubrepo` prints them as one sentence.
SAID = (HubError, SQLAlchemyError, OSError)
THIRD = 3
# The steps of a client by its name, or a method of the world.
OPERATIONS: dict[str, tuple[str, Step] | Callable[[World], object]] = {
    "publish": ("packager", published("version 4")),
    "publish a page": ("owner", page_published(4)),
    "publish released bytes": ("owner", page_published(1)),
    "roll back": ("owner", Step("roll-back", number=2)),
    "tombstone": ("packager", Step("tombstone", number=2)),
    "upload": ("uploader", uploaded("v3")),
    "upload released bytes": ("uploader", uploaded("v7")),
    "withdraw": ("uploader", Step("withdraw", version="v1")),
    "remove a product": ("uploader", Step("remove")),
    "prune": ("uploader", Step("prune")),
    "gc": World.collect,
    "backup": World.back_up,
}
# With S3 and PostgreSQL a step takes three times as long: there these, which put, swap, release and collect,
# stand for the rest, and the first modes. (`test_backup.py` takes backups there.)
SHARED, SHARED_MODES = ("publish", "publish a page", "tombstone", "gc"), (Mode.FAILS, Mode.DIES)
# If the rest fails as well, that makes no difference to a backup: it gives up at the first error.
BACKUP_MODES = (Mode.FAILS, Mode.DIES, Mode.DIES_AFTERWARDS)


@dataclass
class Search:
    """The faults of all operations, one at a time, each in a hub as it was at first."""

    world: World
    faults: Faults
    violations: list[str] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)

    def count(self, name: str) -> list[str]:
        """Return the steps of an operation without a fault, which must be acknowledged."""
        self.world.bring_back()
        with self.faults.watching():
            assert self._operate(name)
        steps = self.faults.steps
        self._judge(name)
        return steps

    def visit(self, name: str, mode: Mode, at: int, step: str) -> None:
        """Meet one fault, and note what goes wrong behind it."""
        self.world.bring_back()
        self.tried[name] += 1
        try:
            if mode.is_deadly:
                self._die(name, mode, at)
                self.world.start()
            else:
                with self.faults.watching(at, mode):
                    self._operate(name)
                assert self.faults.was_hit
            self._judge(name)
        except Exception as error:  # noqa: BLE001 - all of them are shown in the end
            told = f"{type(error).__name__}: {error}"[:500]
            self.violations.append(f"{name}, step {at} ({step}) {mode.value}: {told}")

    def _operate(self, name: str) -> bool:
        """Return True if the operation was acknowledged, and False if it was refused."""
        operation, world = OPERATIONS[name], self.world
        if callable(operation):
            try:
                operation(world)
            except SAID:
                return False
            return True
        client, step = getattr(world, operation[0]), operation[1]
        answer = world.ask(client, step)
        if answer.status >= 300:
            check_refusal(answer)
            return False
        client.acknowledge(step, answer)
        return True

    def _die(self, name: str, mode: Mode, at: int) -> None:
        """Let a forked process meet its end at a step."""
        operation = OPERATIONS[name]
        if not callable(operation):
            getattr(self.world, operation[0]).pending = operation[1]
        self.faults.hang_up()
        child = os.fork()
        if not child:
            try:
                with self.faults.watching(at, mode):
                    self._operate(name)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the step was not met"
        assert os.WTERMSIG(status) == signal.SIGKILL

    def _judge(self, name: str) -> None:
        if name == "backup":
            self.world.restore()
            # A backup leaves the hub alone: that is looked at now and then.
            if self.tried[name] % THIRD:
                return
        self.world.check()
        assert [each for each in found_in(self.world.hub) if each.kind != "unknown"] == []
        self.world.collect()
        assert found_in(self.world.hub, deep=False) == [], "gc leaves something behind"
        if self.tried[name] % THIRD == 0:
            self.world.go_on()


def check_refusal(answer: Answer) -> None:
    """Check that an answer says that the hub is busy or full, as its surface says it."""
    assert answer.status in {503, 507}, answer
    assert answer.json.keys() in ({"detail"}, {"error"}), answer
    assert answer.status == 507 or "retry-after" in answer.headers, answer


def points_of(mode: Mode, steps: Sequence[str]) -> list[tuple[Mode, int, str]]:
    """Return the steps that a mode is tried at.

    An error and the end of the process: all. After a step they differ from before the next one only if it is
    done by half, or unknown to the hub. If all the rest fails as well, every third step suffices.
    """
    points = [(mode, at, name) for at, name in enumerate(steps, 1)]
    if mode is Mode.STAYS_AWAY:
        return points[::THIRD]
    halves = {"write"} if mode is Mode.DIES_AFTERWARDS else {"write", "rename", "commit"}
    if mode not in {Mode.FAILS_AFTERWARDS, Mode.DIES_AFTERWARDS}:
        return points
    last = len(steps)
    return [
        each for each in points if each[2] in halves or each[2].endswith("S3") or each[1] == last
    ]


# A cursor that was cut off from its server is left to the garbage collector, which warns of it.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function ServerCursorMixin:pytest.PytestUnraisableExceptionWarning"
)
def test_a_fault_at_any_step_leaves_nothing_half(backend, tmp_path: Path, budget) -> None:
    world = World(backend(tmp_path), tmp_path)
    names, usual = (OPERATIONS, tuple(Mode)) if world.place.is_local else (SHARED, SHARED_MODES)
    with faults_below(*world.watched) as faults:
        search = Search(world, faults)
        for name in budget.points(tuple(names)):
            steps = search.count(name)
            modes = BACKUP_MODES if name == "backup" else usual
            points = [point for mode in modes for point in points_of(mode, steps)]
            for mode, at, step in budget.points(points, share=1 / len(names)):
                search.visit(name, mode, at, step)
            print(f"{name}: {search.tried[name]} of {len(points)} points, {len(steps)} steps")
    world.close()
    assert search.violations == []
