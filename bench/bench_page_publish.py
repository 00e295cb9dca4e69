"""Promise: publishing a site of 5,000 files is faster than extracting its ZIP to a disk.

The site is made of small pages, scripts, data and pictures, some 40 MB in all, and sent through a
socket: the hub checks every member, indexes it, makes the archive durable and commits. Beside it the
same ZIP is extracted by Python's `zipfile` to a new folder of the same filesystem, each file and in
the end each folder with `fsync`: the least that serving an extracted site could cost, without any
check, and without the upload. Both have their turn in every round; medians are compared.

The hub publishes twice in a round: at a new path, and over a live page where, as only one past
publication is kept here, the rows and bytes of an older one are let go of in the same request. Each
archive differs by one member from all others, so that none is known already; what one side has yet to
write is written before the other begins. Extraction without `fsync` is shown, too.
"""

import itertools
import os
import random
import shutil
import time
import zipfile
from pathlib import Path

from support import MIB, Verdict, folder, take_turns

from tests.support.process import FORM_TYPE, HubProcess, Wire, around_file

FILES = 5_000
SETTINGS = {"uploads.max_size": str(128 * MIB), "pages.keep_publications": "1"}
WORDS = ("the", "page", "table", "of", "chart", "value", "update", "widget", "color", "width")


def write_site(path: Path, seed: int = 1) -> None:
    """A site as generators make it: folders of pages, each with data, pictures and scripts."""
    dice = random.Random(seed)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.html", text(dice, 8_000))
        for number in range(FILES - 2):
            where = f"{number % 50:02}/{number // 500:02}"
            ending, content, compression = make_file(dice, number)
            info = zipfile.ZipInfo(f"{where}/{number:04}.{ending}", (2026, 1, 2, 3, 4, 6))
            info.compress_type = compression
            archive.writestr(info, content)


def make_file(dice: random.Random, number: int) -> tuple[str, bytes, int]:
    """The ending of its name, its content, and how it is kept."""
    ending = ("html", "html", "js", "json", "css", "png")[number % 6]
    size = int(min(dice.lognormvariate(8.5, 0.9), 100_000))
    if ending == "png":
        return ending, dice.randbytes(size), zipfile.ZIP_STORED
    return ending, text(dice, size), zipfile.ZIP_DEFLATED


def text(dice: random.Random, size: int) -> bytes:
    """It deflates to a third, as text does."""
    words = [f"{dice.choice(WORDS)} {dice.randrange(1000)}" for _ in range(size // 6)]
    return " ".join(words).encode()[:size]


class Rounds:
    """What each side does to the next archive. Seconds."""

    def __init__(self, wire: Wire, place: Path) -> None:
        self._wire, self._place, self._numbers = wire, place, itertools.count()
        self._site, self._zip = place / "site.zip", place / "next.zip"
        write_site(self._site)

    @property
    def sizes(self) -> tuple[float, float]:
        """MiB of the archive, and of its files."""
        with zipfile.ZipFile(self._site) as archive:
            expanded = sum(each.file_size for each in archive.infolist())
        return self._site.stat().st_size / MIB, expanded / MIB

    def publish_new(self) -> float:
        """At a path that is free."""
        number = self._write_next()
        return self._publish(f"site-{number}")

    def publish_over(self) -> float:
        """In place of what is live."""
        self._write_next()
        return self._publish("site")

    def extract(self, *, durably: bool = True) -> float:
        """To a folder that is not there yet."""
        number = self._write_next()
        target = self._place / f"extracted-{number}"
        started = time.perf_counter()
        extract(self._zip, target, durably=durably)
        seconds = time.perf_counter() - started
        shutil.rmtree(target)
        os.sync()
        return seconds

    def _write_next(self) -> int:
        number = next(self._numbers)
        shutil.copyfile(self._site, self._zip)
        with zipfile.ZipFile(self._zip, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("build.json", f'{{"build": {number}}}')
        os.sync()
        return number

    def _publish(self, path: str) -> float:
        before, after = around_file("page.zip", path=path)
        length = len(before) + self._zip.stat().st_size + len(after)
        headers = {"Content-Type": FORM_TYPE, "Content-Length": str(length)}
        started = time.perf_counter()
        self._wire.socket.sendall(self._wire.head("POST", "/api/pages", headers) + before)
        with self._zip.open("rb") as file:
            self._wire.socket.sendfile(file)
        self._wire.socket.sendall(after)
        answer = self._wire.receive("POST")
        seconds = time.perf_counter() - started
        if answer.status != 201 or answer.json["files"] != FILES:
            raise RuntimeError(answer)
        os.sync()
        return seconds


def extract(path: Path, target: Path, *, durably: bool) -> None:
    """The plainest way to serve a ZIP."""
    folders = {target}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            place = target / member.filename
            if place.parent not in folders:
                folders.update((place.parent, place.parent.parent))
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, place.open("wb") as file:
                shutil.copyfileobj(source, file)
                if durably:
                    file.flush()
                    os.fsync(file.fileno())
    for each in folders | {target.parent} if durably else ():
        descriptor = os.open(each, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(descriptor)
        os.close(descriptor)


def main() -> None:
    verdict = Verdict("publishing a site of 5,000 files beside extracting its ZIP with fsync")
    with folder() as place, HubProcess(place, SETTINGS) as hub, hub.wire(timeout=120) as wire:
        rounds = Rounds(wire, place)
        archive, expanded = rounds.sizes
        seconds = take_turns(
            {
                "new": rounds.publish_new,
                "over": rounds.publish_over,
                "files": rounds.extract,
                "not durably": lambda: rounds.extract(durably=False),
            },
            warm_up=2,
        )
    verdict.show("the archive", archive, "MiB")
    verdict.show("its files", expanded, "MiB")
    verdict.show("hub: at a new path, from the first byte sent to 201", seconds["new"], "s")
    verdict.show("hub: over a live page, an old publication let go of", seconds["over"], "s")
    verdict.show("extraction with fsync of files and folders", seconds["files"], "s")
    verdict.show("extraction without fsync", seconds["not durably"], "s")
    verdict.at_most("hub at a new path / files", seconds["new"] / seconds["files"], 1)
    verdict.at_most("hub over a live page / files", seconds["over"] / seconds["files"], 1)
    verdict.close()


if __name__ == "__main__":
    main()
