"""An artifact is never whole in memory, however large it is, and however many come and go at once."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.memory import forget_peak, memory
from tests.support.process import HubProcess
from tests.support.uploads import MIB, TokenWire, first_admin

# What is read and sent at once is tested at each push, in `test_contract_uploads`.
pytestmark = [pytest.mark.stress, pytest.mark.serial]

# MiB beyond what an idle hub needs, as for packages.
MOST = 64
# How many at once, of so many MiB each.
COUNT, SIZE = 4, 250


def new_file(path):
    """A large file of random bytes; its checksum."""
    with path.open("w+b") as file:
        for _ in range(SIZE):
            file.write(os.urandom(MIB))
        file.seek(0)
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def test_memory_is_flat_while_artifacts_go_up_and_down(tmp_path, capsys):
    files = [tmp_path / f"large-{number}.bin" for number in range(COUNT)]
    checksums = [new_file(each) for each in files]
    with HubProcess(tmp_path / "hub") as hub, ThreadPoolExecutor(COUNT) as pool:
        token = first_admin(hub)
        with TokenWire(hub.port, token) as wire:
            assert wire.create("engine").status == 201
            for number in range(20):  # whatever takes memory for good
                assert wire.upload("engine", f"small-{number}", os.urandom(2 * MIB)).status == 201
                assert wire.download("engine", f"small-{number}").status == 200

        def transfer(number):
            """Up and down; the checksum of what came down."""
            with TokenWire(hub.port, token, timeout=300) as wire:
                wire.upload_file("engine", f"v{number}", files[number])
                return wire.checksum("engine", f"v{number}")

        idle = memory(hub.pid)
        forget_peak(hub.pid)
        assert list(pool.map(transfer, range(COUNT))) == checksums
        needed = memory(hub.pid, "VmHWM") - idle
        with capsys.disabled():
            print(f"\n{COUNT} times {SIZE} MiB up and down: {needed:.0f} MiB more")
        assert needed < MOST
        assert list((hub.blobs / ".stage").iterdir()) == []
