"""Published pages as people see them: in a real browser, with everything that it allows and forbids."""

import hashlib
import json
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.by import By

from tests.browser.places import HUB, PAGES, Place, place
from tests.browser.sessions import Asked
from tests.browser.sites import ARCHIVE, honest, hostile
from tests.support.browser import Browser

pytestmark = pytest.mark.long

STORES = {"cookie", "database", "service worker"}
STORES |= {"local storage", "session storage", "cache storage"}

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


@pytest.fixture(scope="module", params=["own_host", "below_a_prefix", "pages_host"])
def anywhere(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def attacked(anywhere: Place) -> Place:
    """The same, with something to read, something to change, and a page that tries to."""
    anywhere.acme.publish("treasure")
    for text in ("first", "second"):
        anywhere.acme.publish_page("victim", {"index.html": text})
    anywhere.publish("hostile", hostile())
    return anywhere


def test_an_honest_site_works(browser: Browser, anywhere: Place) -> None:
    url = anywhere.publish("honest", honest())
    browser.open(url)
    outcomes = browser.report()
    assert outcomes == dict.fromkeys(outcomes, "works")
    assert browser.run("return location.pathname") == f"{anywhere.path('honest')}/"
    assert browser.complaints() == []
    # Scripts can read what is said of their own files.
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


def test_links_lead_to_new_windows_and_downloads(browser: Browser, own_host: Place) -> None:
    browser.open(f"{own_host.publish('honest', honest())}/")
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
    assert browser.run("return self.origin") == own_host.origin


def test_whatever_a_page_shows_is_of_the_same_origin(browser: Browser, anywhere: Place) -> None:
    files = {**hostile(), "404.html": b"<p>Lost", "_redirects": b"/app/* /index.html 200\n"}
    url, empty = anywhere.publish("odd", files), anywhere.publish("empty", {"a.txt": b"a"})
    for address in (
        *(f"{url}/", f"{url}/picture.svg", f"{url}/nowhere", f"{url}/app/deep"),
        *(f"{empty}/", f"{anywhere.url('nowhere')}/"),
    ):
        for look in (lambda: browser.open(address), browser.driver.refresh):  # noqa: B023
            look()
            assert browser.run("return self.origin") == anywhere.origin, address


def test_an_address_without_a_file_shows_what_the_page_says_of_it(
    browser: Browser, below_a_prefix: Place
) -> None:
    files = {
        "index.html": "<p>Home",
        "404.html": '<!doctype html><link rel="stylesheet" href="lost.css"><p>Lost</p>',
        "lost.css": "p { color: rgb(1, 2, 3) }",
        "new/index.html": "<p id='here'>Moved</p>",
        "_redirects": "/old /new/#here 301\n",
    }
    url = below_a_prefix.publish("lost", files)
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


def attack(browser: Browser, target: Place, attempts: str) -> dict[str, str]:
    """What came of attempts, without the details. The page is asked for on the hub's host."""
    page = f"{target.path('hostile')}/?attempts={attempts}&hub={target.hub}"
    browser.open(f"http://{HUB}:{target.port}{page}")
    assert browser.driver.current_url == f"http://{target.host}:{target.port}{page}"
    return {name: said.partition(": ")[0] for name, said in browser.report().items()}


def test_a_hostile_script_reads_nothing_with_its_visitors_session(
    browser: Browser, attacked: Place
) -> None:
    # The laxest cookie that there is goes with every request: what protects then is the sandbox alone.
    attacked.sign_in(browser, "None")
    browser.open(f"{attacked.hub}/api/packages")
    assert json.loads(browser.text())[0]["name"] == "treasure"
    attacked.asked.clear()

    outcomes = attack(browser, attacked, "reading")
    assert "treasure" not in json.dumps(outcomes)
    # A window that shows nothing yet belongs to whoever opened it, or to nobody.
    assert outcomes.pop("empty window") in {"TypeError", "SecurityError"}
    assert outcomes == {name: text.format(attacked.origin) for name, text in READING.items()}
    # The hub did answer someone whom it knows; the script did not get to see it.
    assert True in {each.known for each in attacked.asked if each.mode == "cors"}


def test_a_hostile_script_changes_nothing_with_its_visitors_session(
    browser: Browser, attacked: Place
) -> None:
    collections = ("/api/pages", "/api/packages")
    before = [attacked.acme.get(each).json for each in collections]
    attacked.sign_in(browser, "Lax")
    assert attack(browser, attacked, "changing") == {
        "DELETE": "TypeError",
        "POST of JSON": "TypeError",
        "POST without CORS": "opaque",
        "form in a frame": "sent",
        "form in a window": "sent",
    }
    wanted = {f"{attacked.prefix}{each}" for each in (*collections, "/api/pages/victim/rollback")}
    browser.wait(lambda: {each.path for each in posts(attacked)} == wanted)
    assert not any(each.known for each in posts(attacked))
    assert [attacked.acme.get(each).json for each in collections] == before


def posts(target: Place) -> list[Asked]:
    return [each for each in target.asked if each.method == "POST"]


def test_a_hostile_script_finds_nothing_kept_on_the_hubs_own_host(
    browser: Browser, attacked: Place
) -> None:
    attacked.sign_in(browser, "Lax")
    outcomes = attack(browser, attacked, "remembering")
    if attacked.is_sandbox:
        assert set(outcomes.values()) == {"SecurityError"}
    else:
        assert outcomes["cookie"] == "got "


def test_an_address_with_nothing_behind_it_says_so_readably(
    browser: Browser, own_host: Place
) -> None:
    for scheme, text, ground in (
        ("light", "rgb(0, 0, 0)", "rgba(0, 0, 0, 0)"),
        ("dark", "rgb(232, 232, 232)", "rgb(22, 24, 29)"),
    ):
        with browser.prefers(scheme):
            browser.open(f"{own_host.url('nowhere')}/")
            style = "const style = getComputedStyle(document.body);"
            shown = browser.run(f"{style} return [style.color, style.backgroundColor]")
            assert shown == [text, ground]
        assert browser.text() == "Not found\nThere is nothing at this address."
