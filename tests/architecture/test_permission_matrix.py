"""Who may do what: every view, by every kind of credential, on a thing in every state, tried, and compared
with a checked-in table.

Views and credentials come from the application itself, so a new one without a row or a column fails
here. After a change that is meant, write the table anew: `pytest tests/architecture --write`, and read
its diff.
"""

import re
from collections.abc import Iterator, Mapping

import pytest
from pyramid.security import NO_PERMISSION_REQUIRED

from hubrepo.features.docs.resources import DocsResource, OpenAPIResource
from hubrepo.features.pages.resources import PublishedResource
from hubrepo.kernel.web import RootResource
from hubrepo.kernel.web.operations import OperationsResource
from tests.support.beside import beside_tests
from tests.support.contract import same_answer
from tests.support.credentials import all_kinds
from tests.support.hub import Client, Hub
from tests.support.views import PLACES, SAFE, View, fresh_name, views_of

HEAD = """\
What every kind of credential is answered. The columns:

{legend}

Below each URL its methods, the permission that they ask for, and the states of what is there. An answer
that did something was given to one of these callers at a time, each to a thing of its own.
"""

OPEN_TO_ALL = {RootResource, OperationsResource, OpenAPIResource, DocsResource, PublishedResource}


def views_by_path(hub: Hub, authenticator: str) -> Mapping[str, list[View]]:
    """The views at the paths where that authenticator is asked, by path."""
    authenticators, found = hub.registry.authenticators, {}
    for view in views_of(hub):
        if authenticators.by_name[authenticator] in authenticators.at(view.path):
            found.setdefault(view.path, []).append(view)
    return found


def nobody(owner: Client) -> Client:
    """A caller without a credential."""
    return Client(owner.hub, owner.slug, "")


class Matrix:
    """A table, as it is found by asking with all kinds that an authenticator knows."""

    def __init__(self, hub: Hub, authenticator: str) -> None:
        self._hub, self._owner, self._authenticator = hub, hub.organisation(), authenticator
        self._kinds = all_kinds(hub)[authenticator]
        makers = {"none": nobody, **self._kinds.callers}
        self._callers = {kind: make(self._owner) for kind, make in makers.items()}
        assert len({kind[:4] for kind in makers}) == len(makers)

    def text(self) -> str:
        """All of it. Methods, and states, that are answered alike share lines."""
        meaning = {"none": "no credential", **self._kinds.meaning}
        legend = "\n".join(f"    {kind[:4]}  {meaning[kind]}" for kind in self._callers)
        columns = " ".join(kind[:4] for kind in self._callers)
        lines = [HEAD.format(legend=legend)]
        for path, some in views_by_path(self._hub, self._authenticator).items():
            lines.append(f"{path:46}{columns}")
            for view in some:
                alike: dict[tuple[str, ...], list[str]] = {}
                for method in view.methods:
                    alike.setdefault(self._lines(view, method), []).append(method)
                for states, methods in alike.items():
                    lines += [f"  {' '.join(methods)}  {view.permission or '(nobody)'}", *states]
            lines.append("")
        return "\n".join(lines)

    def _lines(self, view: View, method: str) -> tuple[str, ...]:
        """What callers are answered, for each group of states that makes no difference."""
        by_answers: dict[str, list[str]] = {}
        for state in view.place.states:
            answers = " ".join(map(str, self._answers(view, method, state)))
            by_answers.setdefault(answers, []).append(state)
        return tuple(f"    {', '.join(states):42}{each}" for each, states in by_answers.items())

    def _answers(self, view: View, method: str, state: str) -> Iterator[int]:
        """What each caller is answered; after one who changed something, the thing is made anew."""
        name = ""
        for caller in self._callers.values():
            name = name or view.place.states[state](self._owner, fresh_name())
            body, content_type = view.body(method, state, name)
            url = view.url(self._owner, name)
            status = caller.call(method, url, body, content_type=content_type).status_int
            yield status
            if method not in SAFE and status < 400:
                name = ""


@pytest.fixture(params=sorted({"api-key"}.union(*(each.KINDS for each in beside_tests("places")))))
def authenticator(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.long
def test_every_view_answers_every_credential_as_the_table_says(
    hub: Hub, authenticator: str, pytestconfig: pytest.Config
):
    tried, table = Matrix(hub, authenticator).text(), all_kinds(hub)[authenticator].table
    if pytestconfig.getoption("--write"):
        table.write_text(tried)
    assert tried.splitlines() == table.read_text().splitlines()


def test_a_credential_that_is_bad_opens_no_door(hub: Hub, authenticator: str):
    """A table that was written anew by mistake is found here."""
    kinds = all_kinds(hub)[authenticator]
    columns = [kind[:4] for kind in ("none", *kinds.callers)]
    bad = set(columns) - {kind[:4] for kind in kinds.good}
    assert len(bad) in {8, 9}
    at, tried = "", 0
    for line in kinds.table.read_text().splitlines():
        at = line.split()[0] if line.startswith("/") else at
        is_open = at in {"", "/", "/docs"} or at.startswith(("/_ah", "/pages/"))
        if not line.startswith("    ") or is_open:
            continue
        answers = dict(zip(columns, line.split()[-len(columns) :], strict=True))
        # What is open to all refuses a bad key all the same.
        asked = bad - {"none"} if at == "/api/openapi.json" else bad
        assert {answers[kind] for kind in asked} == {"401"}, line
        tried += 1
    assert tried > 30


def test_what_is_good_for_one_surface_is_as_nothing_at_another(hub: Hub, authenticator: str):
    owner = hub.organisation()
    strange = {
        f"{other} {kind}": kinds.callers[kind](owner)
        for other, kinds in all_kinds(hub).items()
        for kind in kinds.good
        if other != authenticator
    }
    for some in views_by_path(hub, authenticator).values():
        for view in some:
            url = view.url(owner, fresh_name())
            for method in view.methods:
                usual = nobody(owner).call(method, url)
                for kind, caller in strange.items():
                    answer = caller.call(method, url)
                    assert answer.status_int == usual.status_int, (method, url, kind)
                    if usual.status_int >= 400:
                        assert same_answer(answer) == same_answer(usual), (method, url, kind)


def test_what_a_surface_answers_is_the_same_below_every_prefix(hub: Hub, authenticator: str):
    table = all_kinds(hub)[authenticator].table.read_text()
    parts = dict(re.findall(r"^(/\S+) .*\n((?:  .*\n)+)", table, re.MULTILINE))
    for view in views_of(hub):
        for prefix in view.place.prefixes:
            if view.path in parts:
                bare = view.path.removeprefix(view.prefix)
                assert parts[f"{prefix}{bare}"] == parts[view.path]


def test_a_view_or_an_authenticator_that_is_new_is_asked_for(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.delitem(PLACES, PublishedResource)
        with pytest.raises(AssertionError, match="PublishedResource has no place"):
            Matrix(hub, "api-key").text()
    known = {**hub.registry.authenticators.by_name, "ticket": lambda _request: None}
    monkeypatch.setattr(type(hub.registry.authenticators), "by_name", known)
    with pytest.raises(AssertionError, match="'ticket'"):
        Matrix(hub, "api-key")


def test_every_permission_is_granted_to_some_role_and_no_view_is_open_by_accident(hub: Hub):
    """Only what runs the hub, what is published, and what tells of the hub, is open to everybody."""
    views = list(views_of(hub))
    open_to_all = {view.context for view in views if view.permission == NO_PERMISSION_REQUIRED}
    assert open_to_all == OPEN_TO_ALL
    asked = {view.permission for view in views if view.context not in OPEN_TO_ALL}
    assert asked == set().union(*hub.registry.grants.values())
