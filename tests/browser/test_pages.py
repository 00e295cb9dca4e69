"""Published pages as people see them: in a real browser, with everything that it allows and forbids."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.browser.places import HUB, PAGES, Office, Place, office, place
from tests.browser.sessions import Asked
from tests.browser.sites import ARCHIVE, honest, hostile
from tests.support.browser import Browser

pytestmark = pytest.mark.long

STORES = {
    "cookie",
    "local storage",
    "session storage",
    "database",
    "cache storage",
    "service worker",
}

# What each attempt to read comes to; `{}` is the origin of the page.
READING = {
    "origin": "{}",
    "fetch": "TypeError",
    "fetch without CORS": "opaque 0",
    "XMLHttpRequest": "error",
    "module of JSON": "TypeError",
    "script": "refused",
    "module script with credentials": "refused",
    "frame of the API": "out of reach",
    "window of the API": "out of reach",
    "frame made of text": "{} TypeError",
    "frame made of a blob": "{} TypeError",
    "window made of a blob": "{} TypeError",
    "worker": "{} TypeError",
}


@pytest.fixture(scope="module")
def own_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("own"), HUB) as found:
        yield found


@pytest.fixture(scope="module")
def below_a_prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("prefix"), HUB, "/workshop") as found:
        yield found


@pytest.fixture(scope="module")
def pages_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("apart"), PAGES) as found:
        yield found


@pytest.fixture(params=["own_host", "below_a_prefix", "pages_host"])
def anywhere(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module", params=[HUB, PAGES])
def signed_in_at(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office"), request.param) as found:
        found.acme.publish("treasure")
        found.acme.publish_page("victim", {"index.html": "first"})
        found.acme.publish_page("victim", {"index.html": "second"})
        found.acme.publish_page("hostile", hostile())
        yield found


@pytest.mark.parametrize("slash", ["", "/"])
def test_an_honest_site_works(browser: Browser, anywhere: Place, slash: str) -> None:
    url = anywhere.publish("honest", honest())
    browser.open(f"{url}{slash}")
    outcomes = browser.report()
    assert outcomes == dict.fromkeys(outcomes, "works")
    assert browser.run("return location.pathname") == f"{anywhere.path('honest')}/"
    assert browser.complaints() == []


def test_scripts_can_read_what_is_said_of_their_own_files(
    browser: Browser, anywhere: Place
) -> None:
    browser.open(f"{anywhere.publish('headers', {**honest(), 'index.html': '<p>'})}/")
    said = browser.run(
        "return fetch('data.json', {headers: {Range: 'bytes=2-5'}})"
        ".then((part) => ['ETag', 'Content-Range'].map((name) => part.headers.get(name)))"
    )
    assert said == [f'"{hashlib.sha256(honest()["data.json"]).hexdigest()}"', "bytes 2-5/19"]


def test_on_a_host_of_their_own_pages_have_all_that_an_origin_gives(
    browser: Browser, pages_host: Place
) -> None:
    browser.open(f"{pages_host.publish('honest', honest())}/beyond.html")
    outcomes = browser.report()
    assert outcomes == dict.fromkeys(outcomes, "works")
    assert outcomes.keys() > STORES
    assert browser.complaints() == []


def test_on_the_hubs_own_host_pages_keep_nothing_in_the_browser(
    browser: Browser, own_host: Place
) -> None:
    browser.open(f"{own_host.publish('honest', honest())}/beyond.html")
    outcomes = browser.report()
    assert {outcomes[each].partition(":")[0] for each in STORES} == {"SecurityError"}


def test_links_lead_to_new_windows_and_downloads(browser: Browser, anywhere: Place) -> None:
    browser.open(f"{anywhere.publish('honest', honest())}/")
    browser.report()
    browser.driver.find_element(By.ID, "archive").click()
    saved = browser.downloads / "archive.zip"
    browser.wait(saved.exists)
    assert saved.read_bytes() == ARCHIVE
    saved.unlink()
    browser.driver.find_element(By.ID, "elsewhere").click()
    _, opened = browser.wait(lambda: len(each := browser.driver.window_handles) > 1 and each)
    browser.driver.switch_to.window(opened)
    assert browser.wait(browser.text) == "A part."
    assert browser.run("return self.origin") == origin_at(anywhere)


def origin_at(found: Place) -> str:
    """What scripts of pages are told of where they come from."""
    return "null" if found.is_sandbox else found.origin


def test_whatever_a_page_shows_is_of_the_same_origin(browser: Browser, anywhere: Place) -> None:
    files = {**hostile(), "404.html": "<p>Lost", "_redirects": "/app/* /index.html 200\n"}
    url = anywhere.publish("hostile", files)
    empty = anywhere.publish("empty", {"a.txt": "a"})
    for address in (
        f"{url}/",
        f"{url}/picture.svg",
        f"{url}/nowhere",
        f"{url}/app/deep",
        f"{empty}/",
        f"{anywhere.origin}{anywhere.path('nowhere')}/",
    ):
        for look in (lambda: browser.open(address), browser.driver.refresh):  # noqa: B023
            look()
            assert browser.run("return self.origin") == origin_at(anywhere), address


def test_an_address_without_a_file_shows_what_the_page_says_of_it(
    browser: Browser, anywhere: Place
) -> None:
    files = {
        "index.html": "<p>Home",
        "404.html": '<!doctype html><link rel="stylesheet" href="lost.css"><p>Lost</p>',
        "lost.css": "p { color: rgb(1, 2, 3) }",
        "new/index.html": "<p id='here'>Moved</p>",
        "_redirects": "/old /new/#here 301\n",
    }
    url = anywhere.publish("lost", files)
    browser.open(f"{url}/nowhere")
    assert browser.text() == "Lost"
    assert browser.run("return getComputedStyle(document.querySelector('p')).color") == (
        "rgb(1, 2, 3)"
    )
    browser.open(f"{url}/old?by=mail")
    assert browser.driver.current_url == f"{url}/new/?by=mail#here"
    assert browser.text() == "Moved"


def test_an_application_of_one_page_answers_at_all_its_addresses(
    browser: Browser, anywhere: Place
) -> None:
    files = {
        "_redirects": "/* /index.html 200\n",
        "index.html": f"""<!doctype html>
            <base href="{anywhere.path("app")}/">
            <link rel="icon" href="data:,">
            <script type="module" src="app.js"></script>
            <a href="users/8">another</a><p></p>""",
        "app.js": """
            const show = () => {
              const path = location.pathname.slice(new URL(document.baseURI).pathname.length);
              document.querySelector("p").textContent = `shows ${path}`;
            };
            document.querySelector("a").onclick = (event) => {
              event.preventDefault();
              history.pushState({}, "", event.target.href);
              show();
            };
            window.onpopstate = show;
            show();""",
    }
    url = anywhere.publish("app", files)

    def shows(path: str) -> None:
        paragraph = (By.TAG_NAME, "p")
        browser.wait(lambda: browser.driver.find_element(*paragraph).text == f"shows {path}")
        assert browser.driver.current_url == f"{url}/{path}"

    browser.open(f"{url}/users/7")
    shows("users/7")
    browser.driver.find_element(By.TAG_NAME, "a").click()
    shows("users/8")
    browser.driver.refresh()
    shows("users/8")
    browser.driver.back()
    shows("users/7")
    assert browser.complaints() == []


# The laxest cookie that there is goes with every request: what protects then is the sandbox alone.
@pytest.mark.parametrize("same_site", ["Lax", "None"])
def test_a_hostile_script_reads_nothing_with_its_visitors_session(
    browser: Browser, signed_in_at: Office, same_site: str
) -> None:
    signed_in_at.sign_in(browser, same_site)
    browser.open(f"{signed_in_at.hub}/api/packages")
    assert json.loads(browser.text())[0]["name"] == "treasure"
    signed_in_at.asked.clear()

    outcomes = attack(browser, signed_in_at, "reading")
    assert "treasure" not in json.dumps(outcomes)
    # A window that shows nothing yet belongs to whoever opened it, or to nobody.
    assert outcomes.pop("empty window") in {"TypeError", "SecurityError"}
    assert outcomes == {name: text.format(signed_in_at.origin) for name, text in READING.items()}
    # The hub did answer someone whom it knows; the script did not get to see it.
    fetched = {each.known for each in signed_in_at.asked if each.mode == "cors"}
    assert (True in fetched) == (same_site == "None")


def attack(browser: Browser, target: Office, attempts: str) -> dict[str, str]:
    """What came of attempts, without the details. The page is asked for on the hub's host."""
    page = f"/pages/{target.acme.slug}/hostile/?attempts={attempts}&hub={target.hub}"
    browser.open(f"{target.hub}{page}")
    assert browser.driver.current_url == f"http://{target.host}:{target.port}{page}"
    return {name: said.partition(": ")[0] for name, said in browser.report().items()}


def test_a_hostile_script_changes_nothing_with_its_visitors_session(
    browser: Browser, signed_in_at: Office
) -> None:
    collections = ("/api/pages", "/api/packages")
    before = [signed_in_at.acme.get(each).json for each in collections]
    signed_in_at.sign_in(browser, "Lax")
    assert attack(browser, signed_in_at, "changing") == {
        "DELETE": "TypeError",
        "POST of JSON": "TypeError",
        "POST without CORS": "opaque",
        "form in a frame": "sent",
        "form in a window": "sent",
    }
    wanted = {*collections, "/api/pages/victim/rollback"}
    browser.wait(lambda: {each.path for each in posts(signed_in_at)} == wanted)
    assert not any(each.known for each in posts(signed_in_at))
    assert [signed_in_at.acme.get(each).json for each in collections] == before


def posts(target: Office) -> list[Asked]:
    return [each for each in target.asked if each.method == "POST"]


def test_a_hostile_script_finds_nothing_kept_on_the_hubs_own_host(
    browser: Browser, signed_in_at: Office
) -> None:
    signed_in_at.sign_in(browser, "Lax")
    outcomes = attack(browser, signed_in_at, "remembering")
    if signed_in_at.host == HUB:
        assert set(outcomes.values()) == {"SecurityError"}
    else:
        assert outcomes["cookie"] == "got "


def test_the_host_of_pages_has_no_api(browser: Browser, pages_host: Place) -> None:
    browser.open(f"{pages_host.publish('honest', honest())}/")
    browser.report()
    statuses = browser.run(
        "return Promise.all(['/api/packages', '/api/pages', '/api', '/_ah/health', '/']"
        ".map(async (path) => (await fetch(path)).status))"
    )
    assert statuses == [404] * 5


@pytest.mark.parametrize(
    ("scheme", "text", "ground"),
    [
        ("light", "rgb(0, 0, 0)", "rgba(0, 0, 0, 0)"),
        ("dark", "rgb(232, 232, 232)", "rgb(22, 24, 29)"),
    ],
)
def test_an_address_with_nothing_behind_it_says_so_readably(
    browser: Browser, own_host: Place, tmp_path: Path, scheme: str, text: str, ground: str
) -> None:
    with browser.prefers(scheme):
        browser.open(f"{own_host.origin}{own_host.path('nowhere')}/")
        browser.driver.save_screenshot(str(tmp_path / f"{scheme}.png"))
        style = "const style = getComputedStyle(document.body);"
        assert browser.run(f"{style} return [style.color, style.backgroundColor]") == [text, ground]
    assert browser.text() == "Not found\nThere is nothing at this address."
