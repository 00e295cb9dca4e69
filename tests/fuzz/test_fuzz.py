"""The readers of foreign bytes: what a fuzzer begins with in every build, its search in `make stress`.

An input that something was found with is kept in `FOUND`, by its target. To search on for longer:
`python -m tests.fuzz.run TARGET FOLDER` until something is found.
"""

import importlib.util
import math
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS
from tests.support.process import PROJECT

# Seconds of search for each target; SECONDS ends all of it earlier.
TURN = 60

# Accents in an order that takes minutes to bring into normal form.
ACCENTS = "\u0301\u0323".encode() * 200_000
# What was wrong before, whoever found it; archives are in the corpus that fuzzers begin with.
FOUND: dict[str, list[bytes]] = {name: [] for name in TARGETS} | {
    "history": [
        b"# u" + ACCENTS + b"@1\n",
        b"# Package History: u" + ACCENTS + b"\n## Versions\n### Version 1\n",
    ],
}


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_fuzzer_begins_with_and_what_was_found_holds(name: str) -> None:
    target, seeds = TARGETS[name]
    for data in (*seeds(), *FOUND[name]):
        target(data)


@pytest.fixture(scope="module")
def atheris() -> None:
    """Skip the test where there is no atheris; in CI, fail it."""
    if importlib.util.find_spec("atheris") is None:
        reason = (
            "there is no atheris (pip install 'atheris~=3.0'; Linux on x86_64, Python 3.11 to 3.13)"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.mark.stress
def test_a_fuzzer_finds_nothing(
    atheris: None, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    end = time.monotonic() + float(os.environ.get("SECONDS", "inf"))
    for name in random.Random(seed).sample(list(TARGETS), len(TARGETS)):
        if (left := end - time.monotonic()) > 0:
            tried = fuzz(name, tmp_path / name, seed, math.ceil(min(left, TURN)))
            with capsys.disabled():
                print(f"\n{name}: {tried} inputs", end="")


def fuzz(name: str, folder: Path, seed: int, seconds: int) -> str:
    """Fuzz one target. Return how many inputs were tried; fail if something was found."""
    folder.mkdir()
    # libFuzzer counts the memory of whoever started it as its own; `timeout` is small.
    done = subprocess.run(
        [
            "timeout", "--kill-after=10", str(seconds + 240),
            sys.executable, "-m", "tests.fuzz.run", name, str(folder / "corpus"),
            f"-seed={seed}",
            f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=600", "-max_len=16384",
            f"-artifact_prefix={folder}/", "-print_final_stats=1",
        ],
        cwd=PROJECT, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    found = [path.read_bytes() for path in folder.iterdir() if path.is_file()]
    assert (done.returncode, found) == (0, []), done.stderr[-6000:]
    tried = re.search(r"number_of_executed_units: +(\d+)", done.stderr)
    assert tried is not None
    return tried[1]
