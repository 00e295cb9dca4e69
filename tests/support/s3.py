"""Servers of S3 on this machine: moto's, which believes everybody, and Ceph's, which checks signatures.

And a wire to one of them that can be cut, stopped and slowed down.
"""

import itertools
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import urlencode
from uuid import uuid4

import boto3.session
import pytest

from tests.support.process import free_port

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "ceph", "radosgw-admin", "monmaptool")
HOW_TO_GET_THEM = "apt-get install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common"

KEY, SECRET = "AKIAHUBREPOTESTS", "not-a-secret-0123456789abcdefghijklmnop"

_PATIENCE = 60.0
_numbers = itertools.count(1)


@dataclass
class S3Server:
    """An S3 API. `environ` are the credentials that it knows, as AWS tools read them."""

    endpoint: str
    environ: ClassVar[Mapping[str, str]] = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        # Nobody's own files are read.
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_CONFIG_FILE": os.devnull,
    }

    def url(self, place: str, **parameters: str) -> str:
        """The URL of a store at `bucket/prefix`."""
        return f"s3://{place}?{urlencode({'endpoint': self.endpoint, **parameters})}"

    @cached_property
    def client(self) -> Any:
        """boto3's own client."""
        session = boto3.session.Session(KEY, SECRET, region_name=self.environ["AWS_DEFAULT_REGION"])
        return session.client("s3", endpoint_url=self.endpoint)

    def new_bucket(self) -> str:
        """A bucket that nobody else uses."""
        name = f"bucket-{os.getpid()}-{next(_numbers)}-{uuid4().hex[:8]}"
        self.client.create_bucket(Bucket=name)
        return name


@contextmanager
def credentials(server: S3Server) -> Iterator[None]:
    """Within the block this process knows the credentials of `server`, and no others."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, text in server.environ.items():
            patch.setenv(name, text)
        yield


def requests_of(filesystem: Any) -> Counter[str]:
    """Count the requests that a filesystem on S3 sends from now on, by their names."""
    seen: Counter[str] = Counter()

    def note(model: Any, **_: object) -> None:
        seen[model.name] += 1

    filesystem.bucket.client.meta.events.register("before-call.s3", note)
    return seen


@contextmanager
def moto() -> Iterator[S3Server]:
    """moto's server, in a process of its own."""
    port = free_port()
    command = (sys.executable, "-W", "ignore", "-m", "tests.support.moto_server", str(port))
    with ExitStack() as daemons:
        _wait_for(port, [_begin(daemons, command)])
        yield S3Server(f"http://127.0.0.1:{port}")


def ceph_is_missing() -> str | None:
    """Why there is no Ceph here; None if there is."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"no {', '.join(absent)}: {HOW_TO_GET_THEM}" if absent else None


@contextmanager
def ceph(folder: Path) -> Iterator[S3Server]:
    """Ceph's RADOS gateway with one monitor and one disk, all below `folder`, by whoever calls."""
    with ExitStack() as daemons:
        try:
            port = _start_ceph(folder / "first", daemons)
        except RuntimeError:
            # A disk now and then ends as it begins: the monitor takes it for another's.
            daemons.close()
            port = _start_ceph(folder / "second", daemons)
        yield S3Server(f"http://127.0.0.1:{port}")


_CEPH = """[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{monitor_port}]
mon initial members = a
public network = 127.0.0.0/8
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
mon data avail crit = 1
osd crush chooseleaf type = 0
# In memory: a disk that others are busy with as well makes it slower than the hub is patient.
osd objectstore = memstore
memstore device bytes = 4294967296
ms bind msgr2 = false
run dir = {folder}
admin socket = {folder}/$name.$pid.asok
log file = {folder}/$name.log
keyring = {folder}/keyring
mon data = {folder}/mon
osd data = {folder}/osd
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw data = {folder}/rgw
rgw dns name = 127.0.0.1
"""


def _start_ceph(folder: Path, daemons: ExitStack) -> int:
    """Start a monitor, a disk and a gateway, and make a user, in about fifteen seconds; return the port."""
    fsid, osd = "11111111-2222-3333-4444-555555555555", "22222222-2222-3333-4444-555555555555"
    monitor, port = free_port(), free_port()
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir(parents=True)
    (folder / "keyring").touch()
    configuration = _CEPH.format(fsid=fsid, folder=folder, monitor_port=monitor, port=port)
    (folder / "ceph.conf").write_text(configuration)
    environ = {**os.environ, "CEPH_CONF": str(folder / "ceph.conf")}
    servers: list[subprocess.Popen[bytes]] = []

    def run(command: str) -> None:
        done = subprocess.run(
            command.split(), env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr[-2000:]}")

    def begin(command: str) -> None:
        # Should the tests be killed, so is it.
        killed = ("setpriv", "--pdeathsig", "KILL", *command.split())
        servers.append(_begin(daemons, killed, environ))

    run(f"monmaptool --create --addv a [v1:127.0.0.1:{monitor}] --fsid {fsid} {folder}/monmap")
    run(f"ceph-mon -i a --mkfs --monmap {folder}/monmap")
    begin("ceph-mon -i a -f")
    run(f"ceph --connect-timeout 30 osd new {osd}")
    run(f"ceph-osd -i 0 --mkfs --osd-uuid {osd}")
    begin("ceph-osd -i 0 -f")
    begin("radosgw -n client.rgw.a -f")
    _wait_for(port, servers)
    user = f"--uid=hub --display-name=hub --access-key={KEY} --secret-key={SECRET}"
    run(f"radosgw-admin -n client.rgw.a user create {user}")
    return port


def _begin(
    daemons: ExitStack, command: Sequence[str], environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that ends with the stack."""
    null = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environ, stdin=null, stdout=null, stderr=null)
    daemons.callback(_end, process)
    return process


def _wait_for(port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        for each in processes:
            if each.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{each.args!r} does not serve")
        time.sleep(0.02)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


DROP = 2048


def _in_thread(act: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=act, args=arguments, daemon=True)
    thread.start()
    return thread


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


class Wire:
    """A port that leads to a server, until it is told otherwise. Use it with `with`.

    `silent` takes connections and says nothing on them; `cut_after` breaks each one off once that many
    bytes have come back; `answer`, where set, is said instead of passing anything on. Until
    `drips_until`, by the monotonic clock, answers come drop by drop, and then not at all.
    """

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self.silent = False
        self.cut_after: int | None = None
        self.answer: bytes | None = None
        self.drips_until: float | None = None
        self.connections = 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        _in_thread(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone would not wake the thread that accepts.
        _shut(self._listener)
        self.hang_up()

    def hang_up(self) -> None:
        """Break off every connection that there is, as a restarted server does."""
        for each in self._open:
            _shut(each)
        self._open = []

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                self._open.append(near)
                _in_thread(self._serve, near)

    def _serve(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(self._target) as far:
            self._open.append(far)
            back = _in_thread(self._pass, far, near, True)
            self._pass(near, far, False)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        sent = 0
        with suppress(OSError):
            while data := source.recv(65536):
                while self.silent:
                    time.sleep(0.01)
                    if source.fileno() < 0:
                        return
                if self.answer is not None:
                    (target if is_answer else source).sendall(self.answer)
                    break
                is_cut = is_answer and self.cut_after is not None
                part = data[: max(0, self.cut_after - sent)] if is_cut else data
                if is_answer and self.drips_until is not None:
                    self._drip(target, part)
                else:
                    target.sendall(part)
                sent += len(part)
                if len(part) < len(data):
                    break
        _shut(source)
        _shut(target)

    def _drip(self, target: socket.socket, data: bytes) -> None:
        for at in range(0, len(data), DROP):
            while self.drips_until is not None and time.monotonic() > self.drips_until:
                time.sleep(0.01)
                if target.fileno() < 0:
                    return
            target.sendall(data[at : at + DROP])
            time.sleep(0.05)
