"""Several processes answer as one: what any of them has acknowledged holds in all, at the next request.

Each connection stays with the process that took it, and the tests know which that is.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from hubrepo.cli import Command, main
from hubrepo.cli.serving import Serving
from hubrepo.kernel.base import Misconfigured
from tests.stress.agreement import check_package
from tests.support.archives import package_zip, page_zip
from tests.support.process import PROGRAM, PROJECT, Answer, HubProcess, Wire, free_port
from tests.support.publishers import Publishers, until

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("hangups_are_heard")]

WORKERS = 2


@pytest.fixture(scope="module")
def settings(
    request: pytest.FixtureRequest, blobs: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, str]:
    """Where rows and bytes lie, for all hubs of this module: where pytest's options say."""
    rows = f"sqlite:///{tmp_path_factory.mktemp('rows')}/hub.sqlite"
    if request.config.getoption("--database") == "postgresql":
        rows = request.getfixturevalue("postgresql").fresh()
    return {"database": rows, "blobs": blobs or f"osfs://{tmp_path_factory.mktemp('bytes')}"}


@pytest.fixture(scope="module")
def hub(
    settings: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), settings, workers=WORKERS) as running:
        yield running


@pytest.fixture(scope="module")
def other(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """Another hub with workers of its own, over the same rows and bytes."""
    folder = tmp_path_factory.mktemp("other")
    with HubProcess(folder, hub.settings, workers=WORKERS) as running:
        assert "kpf_" not in running.log.read_text()
        running.key = hub.key
        yield running


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def wires(hub: HubProcess, stack: ExitStack) -> list[Wire]:
    """A connection to each worker."""
    return list(hub.wires(stack).values())


@pytest.fixture
def all_wires(hub: HubProcess, other: HubProcess, stack: ExitStack) -> list[Wire]:
    """A connection to each worker of both hubs."""
    return [*hub.wires(stack).values(), *other.wires(stack).values()]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for what a test makes: hubs are shared."""
    return re.sub(r"[^a-z]+", "-", request.node.name.removeprefix("test_"))[:40].strip("-")


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for has, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_every_worker_answers_and_the_master_holds_nothing(hub: HubProcess, stack: ExitStack):
    wires = hub.wires(stack)
    assert set(wires) == set(hub.worker_pids)
    assert len(wires) == WORKERS
    for pid, wire in wires.items():
        assert wire.ask("GET", "/api/packages").status == 200
        assert hub.worker_of(wire) == pid
    status = Path(f"/proc/{hub.pid}/status").read_text()
    assert re.search(r"^Threads:\s+1$", status, re.MULTILINE)
    opened = [str(each.readlink()) for each in Path(f"/proc/{hub.pid}/fd").iterdir()]
    assert [each for each in opened if "sqlite" in each] == []
    assert (
        len([each for each in opened if each.startswith("socket:")]) <= 1
    )  # the port that it holds


@pytest.mark.backend
def test_numbers_have_no_gaps_when_all_publish_one_package(all_wires: list[Wire], name: str):
    def publish(wire: Wire) -> list[Answer]:
        return [wire.publish(name, package_zip(name, readme=f"{n}\n")) for n in range(10)]

    with ThreadPoolExecutor(len(all_wires)) as pool:
        answers = [answer for run in pool.map(publish, all_wires) for answer in run]
    assert [each for each in answers if each.status != 201] == []
    numbers = sorted(each.json["version"] for each in answers)
    assert numbers == list(range(1, 10 * len(all_wires) + 1))
    versions = check_package(all_wires[0], name)
    for answer in answers:
        assert versions[answer.json["version"]].content_hash == answer.json["content_hash"]
    listings = {wire.ask("GET", f"/api/packages/{name}").body for wire in all_wires}
    assert len(listings) == 1


def issue(hub: HubProcess, *arguments: str) -> str:
    return hub.command("issue-api-key", "--org", "acme", "--quiet", *arguments)


def revoke_over_http(hub: HubProcess, wires: list[Wire], key: str) -> None:
    assert wires[-1].ask("DELETE", f"/api/keys/{key[:12]}").status == 204


def revoke_by_command(hub: HubProcess, wires: list[Wire], key: str) -> None:
    hub.command("revoke-api-key", key[:12])


def remove_over_http(hub: HubProcess, wires: list[Wire], key: str) -> None:
    assert wires[-1].ask("DELETE", "/api/members/remove_over_http").status == 204


def remove_by_command(hub: HubProcess, wires: list[Wire], key: str) -> None:
    hub.command("remove-member", "--org", "acme", "--user", "remove_by_command")


def deactivate(hub: HubProcess, wires: list[Wire], key: str) -> None:
    hub.command("deactivate-user", "deactivate")


@pytest.mark.parametrize(
    "end",
    [revoke_over_http, revoke_by_command, remove_over_http, remove_by_command, deactivate],
    ids=lambda end: end.__name__,
)
def test_a_key_that_ends_is_dead_in_all_at_the_next_request(
    hub: HubProcess, other: HubProcess, all_wires: list[Wire], stack: ExitStack, end: Callable[..., None]
):  # fmt: skip
    hub.command("add-member", "--org", "acme", "--user", end.__name__)
    key = issue(hub, "--user", end.__name__)
    by_worker = {**hub.wires(stack, key), **other.wires(stack, key)}
    assert len(by_worker) == 2 * WORKERS
    for _ in range(3):
        for wire in by_worker.values():
            assert wire.ask("GET", "/api/packages").status == 200
    end(hub, all_wires, key)
    for wire in by_worker.values():
        assert wire.ask("GET", "/api/packages").status == 401
        assert wire.publish("widget", package_zip("widget")).status == 401


@pytest.mark.backend
def test_a_page_that_is_swapped_in_one_is_swapped_in_all(all_wires: list[Wire], name: str):
    def seen() -> list[tuple[int, bytes]]:
        answers = [wire.ask("GET", f"/pages/acme/{name}/") for wire in all_wires]
        return [(each.status, each.body if each.status == 200 else b"") for each in answers]

    assert {status for status, _ in seen()} == {404}
    for number, wire in enumerate([*all_wires, *all_wires]):
        text = f"<h1>{number}</h1>"
        assert wire.publish_page(page_zip(name, {"index.html": text})).status == 201
        assert seen() == [(200, text.encode())] * len(all_wires)
    rolled = all_wires[1].ask_json("POST", f"/api/pages/{name}/rollback", {"publication": 7})
    assert rolled.status == 200
    assert seen() == [(200, b"<h1>6</h1>")] * len(all_wires)
    assert all_wires[2].ask("DELETE", f"/api/pages/{name}").status == 204
    assert {status for status, _ in seen()} == {404}


@pytest.mark.backend
def test_limits_that_are_set_at_one_hold_in_all(hub: HubProcess, all_wires: list[Wire], name: str):
    archive = package_zip(name, noise=os.urandom(3000))
    assert [wire.publish(name, archive).status for wire in all_wires] == [201] * len(all_wires)
    hub.command("set-limits", "--org", "acme", "--max-upload-size", "2000")
    try:
        refused = [wire.publish(name, archive) for wire in all_wires]
        assert {(each.status, "2000" in each.json["detail"]) for each in refused} == {(400, True)}
        kept = {wire.ask("GET", "/api/organisation").body for wire in all_wires}
        assert len(kept) == 1
        assert json.loads(kept.pop())["limits"]["max_upload_size"] == 2000
    finally:
        hub.command("set-limits", "--org", "acme")
    assert {wire.publish(name, archive).status for wire in all_wires} == {201}


@pytest.mark.backend
def test_a_retry_at_another_worker_gets_the_first_answer(all_wires: list[Wire], name: str):
    archive, headers = package_zip(name), {"Idempotency-Key": name}
    answers = [wire.publish(name, archive, headers=headers) for wire in all_wires]
    assert {(each.status, each.body) for each in answers} == {(201, answers[0].body)}


def test_metrics_tell_of_all_workers_whichever_is_asked(wires: list[Wire]):
    def counted(wire: Wire) -> float:
        text = wire.ask("GET", "/_ah/metrics").body.decode()
        line = r'^hubrepo_request_seconds_count\{method="GET",status="404"\} (\S+)$'
        found = re.search(line, text, re.MULTILINE)
        return float(found[1]) if found else 0

    before = counted(wires[0])
    for wire in wires:
        assert wire.ask("GET", "/nothing").status == 404
    assert [counted(wire) for wire in wires] == [before + len(wires)] * len(wires)


@pytest.mark.backend
def test_a_worker_that_is_killed_is_replaced_while_the_others_go_on(hub: HubProcess, name: str):
    before = hub.worker_pids
    with Publishers(hub, name) as publishers:
        publishers.more(10)
        os.kill(before[0], signal.SIGKILL)
        publishers.more(10)
        until(lambda: len(hub.worker_pids) == WORKERS and before[0] not in hub.worker_pids)
        until(hub.is_up)
        publishers.more(10)
    assert publishers.strange == []
    assert before[1] in hub.worker_pids
    assert "worker 0 ended with 137" in hub.log.read_text()
    publishers.check()
    with ExitStack() as stack:
        assert set(hub.wires(stack)) == set(hub.worker_pids)


def test_a_hangup_replaces_one_worker_after_the_other_and_reads_the_ini_anew(
    hub: HubProcess, name: str
):
    before = hub.worker_pids
    text = hub.ini.read_text()
    hub.ini.write_text(text.replace("hubrepo.metrics = true", "hubrepo.metrics = false"))
    try:
        with Publishers(hub, name) as publishers:
            os.kill(hub.pid, signal.SIGHUP)
            until(lambda: not set(before) & set(hub.worker_pids))
            until(hub.is_up)
            publishers.more(5)
        assert publishers.strange == []
        publishers.check()
        with hub.wire() as wire:
            assert wire.ask("GET", "/_ah/metrics").status == 404
    finally:
        hub.ini.write_text(text)
        between = hub.worker_pids
        os.kill(hub.pid, signal.SIGHUP)
        until(lambda: not set(between) & set(hub.worker_pids))
        until(hub.is_up)


def test_to_be_told_to_end_under_load_loses_nothing_that_was_acknowledged(
    settings: Mapping[str, str], hub: HubProcess, tmp_path: Path, name: str
):
    ending = HubProcess(tmp_path, settings, workers=WORKERS)
    ending.key = hub.key
    with ending, Publishers(ending, name, again=False) as publishers:
        publishers.more(10)
        process = ending.process
        assert process is not None
        process.terminate()
        assert process.wait(30) == 0
        publishers.join()
    assert publishers.strange == []
    publishers.check(hub)


@pytest.mark.parametrize("workers", [1, WORKERS])
def test_what_has_begun_is_finished_when_the_hub_is_told_to_end(tmp_path: Path, workers: int):
    noise = os.urandom(8_000_000)
    # Waitress would hold all of the answer itself, and send it on while it ends: it must not get it.
    server = {"outbuf_high_watermark": "100000"}
    with HubProcess(tmp_path, server=server, workers=workers) as hub, hub.wire() as wire:
        assert wire.publish("widget", package_zip("widget", noise=noise)).status == 201
        with hub.wire() as idle, hub.wire() as slow, hub.wire() as upload:
            assert idle.ask("GET", "/api/packages").status == 200
            slow.socket.sendall(slow.head("GET", "/api/packages/widget/latest"))
            status, headers = slow.receive_head()
            upload.socket.sendall(
                upload.head("PUT", "/api/packages/widget/aliases/stable", {
                    "Content-Type": "application/json", "Content-Length": "14",
                }) + b'{"vers'
            )  # fmt: skip
            assert hub.process is not None
            hub.process.terminate()
            assert idle.reader.read() == b""
            with pytest.raises(ConnectionRefusedError):
                until(lambda: Wire(hub.port).close(), 5)
            upload.socket.sendall(b'ion": 1}')
            answer = upload.receive("PUT")
            assert (answer.status, answer.is_ending) == (200, True)
            body = slow.reader.read(int(headers["content-length"]))
            assert status == 200
            assert len(body) == int(headers["content-length"])
            assert hub.process.wait(10) == 0


def old_stage(hub: HubProcess) -> Path:
    """What a process left behind that died long ago."""
    stage = hub.blobs / ".stage" / "left"
    stage.write_bytes(b"half an upload")
    os.utime(stage, (0, 0))
    return stage


def test_a_master_that_is_killed_takes_its_workers_with_it_and_the_next_tidies(tmp_path: Path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    hub = HubProcess(tmp_path, workers=WORKERS, environ={"TMPDIR": str(temporary)})
    try:
        hub.start()
        before, left = hub.worker_pids, old_stage(hub)
        os.kill(hub.pid, signal.SIGHUP)
        until(lambda: not set(before) & set(hub.worker_pids))
        until(hub.is_up)
        assert left.exists()  # workers leave it to the master
        workers = hub.worker_pids
        with hub.wire() as wire:
            first = wire.publish("widget", package_zip("widget"))
        hub.kill()
        until(lambda: all(map(is_gone, workers)), 10)
        assert list(temporary.iterdir()) == []
        hub.start()
        assert not left.exists()
        with hub.wire() as wire:
            assert list(check_package(wire, "widget")) == [first.json["version"]]
    finally:
        hub.stop()
    assert not re.search("cannot listen", hub.log.read_text())


def test_lines_of_the_log_stay_whole_whoever_writes(tmp_path: Path):
    """Lines that are longer than what a pipe takes in one piece, while all wait for it to be read."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    hub = HubProcess(tmp_path, workers=WORKERS)
    lines: list[bytes] = []

    def ask(wire: Wire) -> None:
        for _ in range(60):
            assert wire.ask("GET", "/" + "x" * 9000).status == 404

    with os.fdopen(reader, "rb") as read:
        collector = threading.Thread(target=lambda: lines.extend(read))
        try:
            hub.start(log=writer)
            with ExitStack() as stack, ThreadPoolExecutor(WORKERS) as pool:
                list(pool.map(ask, hub.wires(stack, key="none").values()))
        finally:
            os.close(writer)
            collector.start()
            hub.stop()
            collector.join()
    long = [line for line in lines if b"xxx" in line]
    assert len(long) == 60 * WORKERS
    pattern = re.compile(rb'\d{4}-\d\d-\d\d \S+ INFO  \[hubrepo.access\] \S+ - "GET /x{9000}" 404 ')
    assert [line for line in long if not pattern.match(line)] == []


def hub_with(folder: Path, **lines: str) -> HubProcess:
    """Return a hub that is not started, with these lines of either section."""
    own = {name: text for name, text in lines.items() if name in {"blobs", "database"}}
    return HubProcess(folder, own, {k: v for k, v in lines.items() if k not in own})


def refusal(hub: HubProcess, *arguments: str) -> tuple[int, str]:
    """Return the exit code and the output of a `serve` that does not come to serving."""
    done = CliRunner().invoke(main, ["-c", str(hub.ini), "serve", *arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ({"workers": "many"}, "workers must be a number from 1 to 256, not 'many'"),
        ({"use": "egg:waitress#main"}, "several workers need `use = egg:hubrepo` in [server:main]"),
        ({"listen": "nowhere.invalid:80"}, "[server:main] makes no sense: Invalid host/port"),
    ],
)
def test_what_no_workers_can_be_made_of_is_said_in_one_sentence(tmp_path: Path, lines, sentence):
    arguments = [] if "workers" in lines else ["--workers", "2"]
    code, said = refusal(hub_with(tmp_path, **lines), *arguments)
    assert (code, said[: len(sentence) + 7]) == (1, f"Error: {sentence}")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ({"blobs": "mem://"}, "a store is in memory, which several workers cannot share"),
        ({"database": "sqlite://"}, "hubrepo.database is in memory, which several workers cannot"),
        ({"blobs": "osfs:///proc/blobs"}, "hubrepo.blobs: osfs:///proc/blobs cannot be written"),
    ],
)
def test_what_workers_cannot_share_is_refused_before_there_are_any(tmp_path, lines, sentence):
    command = Command(str(hub_with(tmp_path, **lines).ini))
    with pytest.raises(Misconfigured, match=re.escape(sentence)):
        Serving(command, {}, {}, []).prepare()
    command.close()


def test_a_refused_start_of_workers_ends_with_one_sentence(tmp_path: Path):
    """In real processes: what the first worker finds wrong is the exit of the master."""
    hub = hub_with(tmp_path, threads="few")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        hub.spawn("serve", "--workers", "2", "--port", str(free_port()))
    assert refused.value.returncode == 1
    assert re.fullmatch(
        r"(.*\n)*Error: \[server:main\] makes no sense: invalid literal.*\n", refused.value.stderr
    )
    assert "Traceback" not in refused.value.stderr


def test_a_unix_socket_is_not_for_workers(tmp_path: Path):
    hub = HubProcess(tmp_path)
    text = hub.ini.read_text()
    hub.ini.write_text(re.sub(r"(?m)^listen = .*$", "unix_socket = hub.sock", text))
    sentence = "[server:main] has no line `listen`: without it, only pserve can serve"
    assert refusal(hub, "--workers", "2") == (1, f"Error: {sentence}\n")


def test_a_port_that_workers_share_is_taken_for_everybody_else(hub: HubProcess, tmp_path: Path):
    other = HubProcess(tmp_path)
    for workers in ("1", "2"):
        code, said = refusal(other, "--port", str(hub.port), "--workers", workers)
        sentence = f"Error: cannot listen at 127.0.0.1:{hub.port}: Address already in use\n"
        assert (code, said) == (1, sentence)


def test_workers_are_a_line_of_the_ini_too_and_listen_at_every_address(tmp_path: Path):
    port = free_port()
    server = {
        "workers": "2",
        "listen": f"127.0.0.1:{port} [::1]:{port}",
        "url_prefix": "/workshop",
    }
    hub = HubProcess(tmp_path, server=server, port=port)
    with hub:
        until(lambda: len(hub.worker_pids) == WORKERS)
        with socket.create_connection(("::1", port), 10) as ipv6, hub.wire() as wire:
            assert wire.ask("GET", "/workshop/api/packages").status == 200
            ipv6.sendall(b"GET /workshop/_ah/health HTTP/1.0\r\n\r\n")
            assert ipv6.recv(100).startswith(b"HTTP/1.0 200 ")
        assert f"Serving at http://127.0.0.1:{port}/workshop with 2 workers" in hub.log.read_text()


def test_pserve_serves_in_one_process_whatever_the_line_says(tmp_path: Path):
    hub = HubProcess(tmp_path, server={"workers": "2"})
    with hub.log.open("ab") as log:
        hub.process = subprocess.Popen(
            [Path(sys.executable).parent / "pserve", str(hub.ini), f"http_port={hub.port}"],
            cwd=tmp_path, env=hub.environ, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(hub.is_up)
        assert hub.worker_pids == []
    finally:
        hub.stop()


needs_namespaces = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-pf", "true"], capture_output=True, check=False).returncode != 0,
    reason="process namespaces cannot be made here",
)


@needs_namespaces
def test_as_the_first_process_of_a_container_it_reaps_and_obeys(tmp_path: Path):
    hub = HubProcess(tmp_path, workers=WORKERS)
    command = ["unshare", "-pf", "--mount-proc", *PROGRAM, "-c", str(hub.ini), "serve",
               "--port", str(hub.port), "--workers", str(WORKERS)]  # fmt: skip
    with hub.log.open("ab") as log:
        outside = subprocess.Popen(command, cwd=tmp_path, env=hub.environ, stdout=log, stderr=log)
    try:
        until(hub.is_up)
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
        (master,) = (int(pid) for pid in children.read_text().split())
        # A stranger whose parent ends is the first process's, and so is the duty to bury it.
        orphan = "import os; os.fork() or os._exit(0)\nif os.fork() == 0: os._exit(0)"
        subprocess.run(
            ["nsenter", "-t", str(master), "-p", sys.executable, "-c", orphan], check=True
        )
        mine = Path(f"/proc/{master}/task/{master}/children")
        until(lambda: len(mine.read_text().split()) == WORKERS)
        os.kill(master, signal.SIGTERM)
        assert outside.wait(10) == 0
    finally:
        outside.kill()
        outside.wait()


DYING = """
import os, signal, sys, time
from hubrepo import workers

def work(worker):
    print("born", worker.number, time.monotonic(), flush=True)
    if worker.number == 0:
        worker.say_up()
        time.sleep(60)

workers.FIRST_PAUSE, workers.LONGEST_PAUSE = 0.05, 0.2
sys.exit(workers.Master().keep(2, work))
"""
BIRTHS = 13


def test_a_worker_that_dies_again_and_again_is_replaced_ever_later():
    with subprocess.Popen(
        [sys.executable, "-c", DYING], cwd=PROJECT, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as master:  # fmt: skip
        # The pause would be minutes by then if it went on doubling.
        watchdog = threading.Timer(60, master.kill)
        watchdog.start()
        assert master.stdout is not None
        births = (line.split() for line in master.stdout)
        found = (float(moment) for _, number, moment in births if number == "1")
        born = list(islice(found, BIRTHS))
        watchdog.cancel()
        master.terminate()
        assert master.wait(10) == 0
    pauses = [after - before for before, after in pairwise(born)]
    assert len(pauses) == BIRTHS - 1
    assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2, 0.2), strict=False))


FAILING = """
import os, sys
from hubrepo.workers import Master

for act in (lambda _: sys.exit(7), lambda _: os.kill(os.getpid(), 9), lambda _: None):
    print(Master().keep(3, act), flush=True)
"""


def test_when_no_worker_ever_comes_up_the_master_ends_as_the_first_did():
    done = subprocess.run(
        [sys.executable, "-c", FAILING], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True
    )  # fmt: skip
    assert done.stdout.split() == ["7", "137", "0"]
