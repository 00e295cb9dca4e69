"""The worst archives, sent to a hub of its own process: what they cost, refused or accepted."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.archives import read_zip
from tests.support.hostile import CASES, GOOD, MANIFEST, PATH
from tests.support.hostile.bombs import MIB, crowd, deflated_zeros, nested
from tests.support.hostile.building import Part, Zip, stored
from tests.support.hostile.publishing import package_of
from tests.support.memory import forget_peak, memory, seconds
from tests.support.process import Answer, HubProcess, Wire
from tests.support.readers import check_by_others, require_other_readers
from tests.support.samples import sampled

pytestmark = pytest.mark.stress

MOST_ABOVE_IDLE = 64.0
MOST_SECONDS = 1.0
LIMIT = 10 * MIB

WORST = [
    case
    for case in CASES
    if case.package and case.id.startswith(("bomb", "crowd", "quine", "self", "directory-huge"))
]


@dataclass(frozen=True)
class Watched:
    """A hub, and the MiB that it took when it was warm and idle."""

    process: HubProcess
    idle: float

    def cost(self, send: Callable[[], Answer]) -> tuple[Answer, float, float]:
        """What it answers, the most MiB above idle that this takes, and seconds of the processor."""
        forget_peak(self.process.pid)
        before = seconds(self.process.pid)
        answer = send()
        spent = seconds(self.process.pid) - before
        return answer, memory(self.process.pid, "VmHWM") - self.idle, spent


@contextmanager
def watched(folder: Path, **limits: Mapping[str, str]) -> Iterator[Watched]:
    """A hub that has everything imported, connected and cached that a small request needs."""
    small = Zip(GOOD).build()
    with HubProcess(folder, **limits) as process, process.wire() as wire:
        for _ in range(20):
            assert wire.publish(PATH, small).status == 201
            assert wire.publish_page(small).status == 201
        yield Watched(process, memory(process.pid))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A hub with the limits that it has out of the box."""
    with watched(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


def publishing(wire: Wire, data: bytes) -> dict[str, Callable[[], Answer]]:
    """What publishes the archive, as the one and as the other."""
    return {
        "package": lambda: wire.publish(PATH, data),
        "page": lambda: wire.publish_page(data),
    }


def costs_of_bombs(hub: Watched, seed: int) -> Iterator[tuple[str, Answer, float, float]]:
    """Yield the name of each bomb, and what it costs to refuse it, as a package and as a page."""
    with hub.process.wire(timeout=120) as wire:
        for case in sampled(WORST, seed):
            for publish in publishing(wire, case.make()).values():
                yield case.id, *hub.cost(publish)


def test_a_bomb_is_refused_and_takes_little_memory(hub: Watched, seed: int) -> None:
    for name, answer, mib, _ in costs_of_bombs(hub, seed):
        assert answer.status in {400, 422}, name
        assert mib <= MOST_ABOVE_IDLE, name


@pytest.mark.serial
def test_a_bomb_is_refused_within_a_second(hub: Watched, seed: int) -> None:
    """A second of the processor: what else the machine does meanwhile is not the archive's cost."""
    for name, _, _, spent in costs_of_bombs(hub, seed):
        assert spent <= MOST_SECONDS, name


@pytest.mark.serial
def test_a_million_members_are_refused_by_their_number(tmp_path: Path) -> None:
    data = crowd(1_000_000 - len(GOOD))
    assert len(data) > 90_000_000
    limits = {
        "settings": {"uploads.max_size": str(150 * MIB)},
        "server": {"max_request_body_size": str(200 * MIB)},
    }
    with watched(tmp_path, **limits) as hub, hub.process.wire() as wire:
        for publish in publishing(wire, data).values():
            answer, mib, spent = hub.cost(publish)
            assert "the archive has 1000000 members" in answer.json["detail"]
            assert mib <= MOST_ABOVE_IDLE
            assert spent <= MOST_SECONDS  # most of which goes into taking ninety megabytes in


def test_other_programs_read_the_same_in_all_that_is_served(tmp_path: Path, seed: int) -> None:
    require_other_readers()
    for case in sampled([case for case in CASES if case.package is None], seed):
        served = tmp_path / f"{case.id}.zip"
        served.write_bytes(package_of(case.make()))
        check_by_others(served, read_zip(served.read_bytes()))


# --- Honest ones, as large as may be ------------------------------------------------------------


def longest_names(count: int, last: str = "") -> bytes:
    """Members with the longest names, all in folders of their own; `last` makes all text wider."""
    rest = "/".join("x" * 15 for _ in range(62)) + last
    names = (f"{number:05}/{rest}" for number in range(count))
    parts = (stored(name.encode()).both(flags=0 if name.isascii() else 1 << 11) for name in names)
    return Zip((*GOOD, *parts)).build()


def expanding() -> bytes:
    """A megabyte that inflates to a gigabyte."""
    data, crc = deflated_zeros(MIB)
    zeros = (Part(b"%04d" % number, stored=data).both(size=MIB, crc=crc) for number in range(1020))
    return Zip((*GOOD, *zeros)).build()


def commented() -> bytes:
    """Comments that fill the directory."""
    parts = (Part(b"%04d" % number, comment=b"c" * 65_000) for number in range(150))
    return Zip((*GOOD, *parts)).build()


def manifest(lines: Iterator[str]) -> bytes:
    """A manifest of these lines, as many as fit."""
    text = MANIFEST.decode()
    for line in lines:
        if len(text) + len(line) + 1 > 256 * 1024:
            break
        text += f"{line}\n"
    return Zip((Part(b"package.toml", text.encode()), *GOOD[1:])).build()


def history(beyond: str = "") -> bytes:
    """The largest history that is read, of nothing but headings; `beyond` makes all text wider."""
    lines = b"".join(b"### Version %d\n" % number for number in range(400_000))
    text = b"# Package History: x\n\n## Versions\n\n" + beyond.encode() + b"\r\n" + lines
    return Zip((*GOOD, Part(b"HISTORY.md", text[: 8 * MIB]))).build()


def noise(size: int) -> bytes:
    """What cannot be compressed."""
    return random.Random(size).randbytes(size)


HONEST: dict[str, Callable[[], bytes]] = {
    "ten thousand members": lambda: crowd(10_000 - len(GOOD)),
    "the longest names": lambda: longest_names(4500),
    "the longest names in wide text": lambda: longest_names(4500, "\U0001f469"),
    "a gigabyte of zeros": expanding,
    "comments": commented,
    "noise": lambda: Zip((*GOOD, stored(b"noise", noise(LIMIT - 4000)))).build(),
    "deflated noise": lambda: Zip((*GOOD, Part(b"noise", noise(LIMIT - 9000)))).build(),
    "archives in archives": lambda: nested(3, 10),
    "a manifest of statements": lambda: manifest(f"k{number}=1" for number in range(99_999)),
    "a manifest of tables": lambda: manifest(f"[k{number}]" for number in range(99_999)),
    "a manifest of arrays": lambda: manifest("[[k]]" for _ in range(99_999)),
    "a manifest of brackets": lambda: manifest(
        f"k{number} = {'[' * 90}{']' * 90}" for number in range(9999)
    ),
    "a manifest of dots": lambda: manifest(
        f"{'.'.join('abcdefghijklmnop')}.k{number}=1" for number in range(99_999)
    ),
    "a manifest of one text": lambda: manifest(iter([f'k = "{"x" * 250_000}"'])),
    "a history": history,
    "a history in wide text": lambda: history("\U0001f469"),
}


def test_what_is_as_large_as_may_be_takes_little_memory(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each in a hub that nothing else has stretched."""
    for number, name in enumerate(sampled(tuple(HONEST), seed)):
        data = HONEST[name]()
        assert len(data) <= LIMIT
        with (
            watched(tmp_path / str(number)) as fresh,
            fresh.process.wire(timeout=120) as wire,
        ):
            for kind, publish in publishing(wire, data).items():
                hub = Watched(fresh.process, memory(fresh.process.pid))
                answer, mib, spent = hub.cost(publish)
                with capsys.disabled():
                    print(f"\n{name}, as a {kind}: {mib:.0f} MiB above idle, {spent:.2f} s", end="")
                assert answer.status == 201, answer.body
                assert mib <= MOST_ABOVE_IDLE
