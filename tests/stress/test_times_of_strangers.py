"""How long an answer takes does not tell whether another organisation has what was asked for.

By turns a stranger asks each view for a neighbour's thing and for one that nobody has. Their median times
may differ by a twentieth. What is asked for is another thing each time: a hub may remember the answer to
an earlier question. Everything happens in this process, where the least else takes time.
`tests/architecture/test_strangers.py` compares the SQL statements.
"""

import gc
import statistics
from pathlib import Path
from time import perf_counter

import pytest
from webob import Request

from tests.support.filled import make_hub
from tests.support.hub import Client
from tests.support.samples import sampled
from tests.support.views import View, fresh_name, missing_like, named_views

pytestmark = [pytest.mark.stress, pytest.mark.serial]

# Each is asked for once by a sample.
THINGS = 100
ALLOWED = 0.05
# On a busy machine one sample says little: as many are taken as make it plain.
FEWEST, MOST = 2, 8


def took(client: Client, method: str, url: str, body: bytes, content_type: str | None) -> float:
    """Seconds until all of an answer is there, without a client between: that would cost more."""
    environ = {**client.credentials, "REMOTE_ADDR": "127.0.0.1", "CONTENT_TYPE": content_type or ""}
    request = Request.blank(url, environ=environ, method=method, body=body)
    statuses: list[str] = []
    started = perf_counter()
    answer = client.hub.wsgi(request.environ, lambda status, *_: statuses.append(status))
    b"".join(answer)
    seconds = perf_counter() - started
    if hasattr(answer, "close"):
        answer.close()
    assert statuses[0][:3] in {"201", "404", "409"}
    return seconds


def sample(
    neighbour: Client, stranger: Client, view: View, method: str, names: list[tuple[str, str]]
) -> tuple[list[float], list[float]]:
    """Seconds that answers took: for what the neighbour has, and for what nobody has."""
    # What was remembered of reads counts no more once anybody has written.
    neighbour.send_json("POST", "/api/packages", {"name": fresh_name()}, 201)
    neighbour.hub.registry.afterwards.settle()
    times: tuple[list[float], list[float]] = [], []
    gc.collect()
    gc.disable()
    try:
        for number, pair in enumerate(names):
            both = list(zip(times, pair, strict=True))
            # Which of them goes first takes turns too.
            for taken, name in both if number % 2 else reversed(both):
                body, content_type = view.body(method, "live", name)
                url = view.url(neighbour, name)
                taken.append(took(stranger, method, url, body, content_type))
    finally:
        gc.enable()
    return times


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_neighbours_thing_takes_as_long_as_a_missing_one(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, seed: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    hub = make_hub(request, tmp_path / "hub", "disk", database)
    neighbour, stranger = hub.organisation(), hub.organisation()
    named: dict[object, list[tuple[str, str]]] = {}
    slow: list[str] = []
    for view, method in sampled((case for case in named_views(hub) if case[1] != "HEAD"), seed):
        # Where the stranger makes a thing of that name, no other view may find it.
        makes_it = view.name == "create" or str(view.permission).endswith(":publish")
        group = (view.place.states["live"], view if makes_it else None)
        if group not in named:
            made = [group[0](neighbour, fresh_name()) for _ in range(THINGS)]
            named[group] = [(name, missing_like(name)) for name in made]
        theirs: list[float] = []
        nobodys: list[float] = []
        for number in range(1, MOST + 1):
            times = sample(neighbour, stranger, view, method, named[group])
            theirs += times[0]
            nobodys += times[1]
            medians = statistics.median(theirs), statistics.median(nobodys)
            difference = medians[0] / medians[1] - 1
            if number >= FEWEST and abs(difference) < ALLOWED:
                break
        told = f"{method:7}{view.path:48}{medians[0] * 1e3:8.3f} ms {difference:+7.1%}"
        with capsys.disabled():
            print(f"\n{told}", end="")
        if abs(difference) >= ALLOWED:
            slow.append(told)
    assert slow == []
