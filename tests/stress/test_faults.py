"""A fault at every step of what changes a hub: an error, or the end of the process.

Whatever was acknowledged must be there, whatever was not is there whole or not at all, nothing but
bytes without a row is left over, and the hub goes on.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from hubrepo.kernel.base import HubError
from tests.stress.agreement import Listed
from tests.stress.backends import Backend
from tests.stress.uploaders import Step
from tests.stress.world import DOCS, PRODUCT, State, World, found_in
from tests.support.faults import Faults, Mode, faults_below
from tests.support.process import Answer

pytestmark = pytest.mark.stress

THIRD = 3

# What an operator's command may end in: `hubrepo` says it in one sentence.
SAID = (HubError, SQLAlchemyError, OSError)


@pytest.fixture
def world(backend: Backend, tmp_path: Path) -> Iterator[World]:
    world = World(backend.place(tmp_path), tmp_path)
    yield world
    world.close()


@dataclass(frozen=True)
class Operation:
    """What is tried: `act` does it, `after` is what it makes of a state, `prove` proves the rest.

    Where it is no change of the hub, that is all there is to see, most of the time.
    """

    name: str
    act: Callable[[World], object]
    after: Callable[[State, State], State] = lambda before, _: before
    prove: Callable[[World], None] = lambda _: None
    modes: tuple[Mode, ...] = tuple(Mode)
    is_change: bool = True


def published(before: State, seen: State) -> State:
    """One version more; its hash is taken from what is seen."""
    number = len(before.versions) + 1
    fresh = seen.versions.get(number, Listed(number, "", tombstoned=False))
    return replace(before, versions={number: fresh, **before.versions})


def tombstoned(before: State, seen: State) -> State:
    """Version 2 without its bytes."""
    gone = Listed(2, before.versions[2].content_hash, tombstoned=True)
    return replace(before, versions={**before.versions, 2: gone})


def live(number: int) -> Callable[[State, State], State]:
    """Another publication is what visitors see."""
    return lambda before, _: replace(before, live=number)


def shelved(step: Step) -> Callable[[State, State], State]:
    """The product after that."""
    return lambda before, _: replace(before, shelf=before.shelf.after(step))


OPERATIONS = (
    Operation("publish", lambda world: world.publish("version 4"), published),
    Operation("publish a page", lambda world: world.publish_page(DOCS, 4), live(4)),
    Operation("publish released bytes", lambda world: world.publish_page(DOCS, 1), live(4)),
    Operation("roll back", lambda world: world.roll_back(2), live(2)),
    Operation("tombstone", lambda world: world.tombstone(2), tombstoned),
    Operation(
        "upload",
        lambda world: world.upload("v3", b"bytes of v3"),
        shelved(Step("upload", "v3", b"bytes of v3")),
    ),
    Operation(
        "upload released bytes",
        lambda world: world.upload("old", b"bytes of old"),
        shelved(Step("upload", "old", b"bytes of old")),
    ),
    Operation("withdraw", lambda world: world.withdraw("v1"), shelved(Step("withdraw", "v1"))),
    Operation("remove a product", World.remove, shelved(Step("remove"))),
    Operation("prune", World.prune, shelved(Step("revoke"))),
    Operation("gc", World.collect),
    # That the rest fails as well makes no difference to who gives up at the first error.
    Operation(
        "backup",
        World.back_up,
        prove=World.restore,
        modes=(Mode.FAILS, Mode.DIES, Mode.DIES_AFTERWARDS),
        is_change=False,
    ),
)


# With S3 and PostgreSQL a step takes three times as long: there what puts, swaps, releases and collects stands
# for the rest, and of faults an error and the end. (`test_backup.py` takes backups there.)
SHARED = {"publish", "publish a page", "tombstone", "gc"}
TRIED = [
    *(pytest.param("disk+sqlite", each, id=f"disk+sqlite-{each.name}") for each in OPERATIONS),
    *(
        pytest.param(
            "s3+postgresql",
            replace(each, modes=(Mode.FAILS, Mode.DIES)),
            id=f"s3+postgresql-{each.name}",
        )
        for each in OPERATIONS
        if each.name in SHARED
    ),
]


class Violation(AssertionError):
    """Something that must never be."""


@dataclass
class Hunt:
    """One operation under one mode of faults, at each of its steps."""

    world: World
    operation: Operation
    before: State
    faults: Faults = field(default_factory=Faults)
    violations: list[str] = field(default_factory=list)
    hits: int = 0
    tried: int = 0

    def count(self) -> list[str]:
        """The steps of the operation when nothing is wrong with them, which it does."""
        self.world.bring_back()
        with self.faults.watching():
            answer = self.operation.act(self.world)
        steps = self.faults.steps
        self._judge(is_done=True, promised=answer)
        return steps

    def run(self, mode: Mode, points: Mapping[int, str]) -> None:
        """Each point, a step by its number, is met once; what goes wrong behind it is noted."""
        for at, name in points.items():
            self.world.bring_back()
            self.tried += 1
            try:
                self._try(at, mode)
            except Exception as error:  # noqa: BLE001 - all of them are told in the end
                told = f"{type(error).__name__}: {error}"[:500]
                where = f"{self.operation.name}, step {at} ({name}) {mode.value}"
                self.violations.append(f"{where}: {told}")

    def _try(self, at: int, mode: Mode) -> None:
        if mode.is_deadly:
            self.hits += self._die(at, mode)
            self.world.start()
            self._judge(is_done=False)
            return
        answer = None
        with self.faults.watching(at, mode):
            try:
                answer = self.operation.act(self.world)
                is_done = True
            except SAID:
                is_done = False
        self.hits += self.faults.was_hit
        if isinstance(answer, Answer):
            is_done = answer.status < 300
            if not is_done:
                check_refusal(answer)
        self._judge(is_done=is_done, promised=answer if is_done else None)

    def _die(self, at: int, mode: Mode) -> bool:
        """Whether the process that did it met its end at that step."""
        self.faults.hang_up()
        child = os.fork()
        if not child:
            try:
                with self.faults.watching(at, mode):
                    self.operation.act(self.world)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    def _judge(self, *, is_done: bool, promised: object = None) -> None:
        self.operation.prove(self.world)
        # The hub that is left alone is looked at now and then.
        if not self.operation.is_change and self.tried % THIRD:
            return
        world, seen = self.world, self.world.observe()
        after = self.operation.after(self.before, seen)
        if is_done:
            assert seen.essence == after.essence, "what was acknowledged is not there"
        if isinstance(promised, Answer) and promised.status != 204:
            told = promised.json
            hash_ = told["content_hash"] if "content_hash" in told else told["checksum"]
            assert hash_ in seen.hashes, "its hash is another"
        assert seen.essence in (self.before.essence, after.essence), "half of it is there"
        damage = [each for each in found_in(world.hub) if each.kind != "unknown"]
        assert damage == []
        world.collect()
        assert found_in(world.hub, deep=False) == [], "gc leaves something behind"
        if self.tried % THIRD == 0:
            self._go_on(seen)

    def _go_on(self, seen: State) -> None:
        """The hub takes what comes next."""
        answer = self.world.publish("another")
        assert answer.status == 201, answer
        assert answer.json["version"] == len(seen.versions) + 1
        answer = self.world.publish_page(DOCS, 5)
        assert answer.status == 201, answer
        assert answer.json["publication"] > max(seen.kept)
        if seen.shelf.versions is None:
            self.world.token.create(PRODUCT)
        assert self.world.upload("another", b"other bytes").status == 201


def check_refusal(answer: Answer) -> None:
    """It says that the hub is busy or full, as the surface says it."""
    told = f"{answer.status} {answer.body!r} retry after {answer.headers.get('retry-after')}"
    if answer.status not in {503, 507} or answer.json.keys() not in ({"detail"}, {"error"}):
        raise Violation(told)
    if answer.status == 503 and "retry-after" not in answer.headers:
        raise Violation(told)


def points_of(mode: Mode, steps: Sequence[str]) -> dict[int, str]:
    """The steps that a mode is tried at.

    All of them for an error and for the end of the process. To fail or to die once a step is done is another
    thing than to do so before the next one only where it is done by half, or done without anybody knowing.
    That all the rest fails as well shows who goes on regardless: every third step tells.
    """
    points = dict(enumerate(steps, 1))
    if mode is Mode.STAYS_AWAY:
        return dict(list(points.items())[::THIRD])
    halves = {"write"} if mode is Mode.DIES_AFTERWARDS else {"write", "rename", "commit"}
    if mode not in {Mode.FAILS_AFTERWARDS, Mode.DIES_AFTERWARDS}:
        return points
    return {
        at: name
        for at, name in points.items()
        if name in halves or name.endswith("S3") or at == len(steps)
    }


# A cursor that was cut off from its server is left to the collector of garbage, which says so.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function ServerCursorMixin:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(("backend", "operation"), TRIED, indirect=["backend"])
def test_a_fault_at_any_step_leaves_nothing_half(
    world: World, operation: Operation, capsys: pytest.CaptureFixture[str]
) -> None:
    world.bring_back()
    hunt = Hunt(world, operation, world.observe())
    with faults_below(*world.watched) as hunt.faults:
        steps = hunt.count()
        for mode in operation.modes:
            points, started, known = points_of(mode, steps), time.monotonic(), len(hunt.violations)
            hunt.run(mode, points)
            seconds, found = time.monotonic() - started, len(hunt.violations) - known
            with capsys.disabled():
                print(
                    f"\n{operation.name:22} {mode.value:20} {len(points):4} of {len(steps):4} steps, "
                    f"{found} violations, {seconds:.1f} s",
                    end="",
                )
            assert hunt.hits == len(points), "not every point was met"
            hunt.hits = 0
    assert hunt.violations == []
