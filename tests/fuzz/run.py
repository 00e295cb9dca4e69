"""Fuzzes one target until something is found, or time is up: `python -m tests.fuzz.run TARGET FOLDER …`.

FOLDER is where inputs are kept that reached something new; it gets the target's seeds first. What
follows are flags of libFuzzer.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hubrepo", "multipart", "tomllib"]):
    from tests.fuzz.targets import TARGETS


def main(name: str, folder: str, *flags: str) -> None:
    """Never returns."""
    target, seeds = TARGETS[name]
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (place / f"seed-{number:03}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *flags, folder], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
