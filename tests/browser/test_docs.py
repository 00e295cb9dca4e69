"""The page of the description, as people see it: it needs nothing but itself, and its links lead somewhere."""

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.by import By

from tests.support.browser import Browser
from tests.support.explorer import listening
from tests.support.hub import Hub

pytestmark = pytest.mark.long

# What the page has loaded besides itself.
LOADED = "return performance.getEntriesByType('resource').map(each => each.name)"
IS_WIDE = "return document.documentElement.scrollWidth > window.innerWidth"
COLOUR = "return getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def docs(hub: Hub) -> Iterator[str]:
    with listening(hub) as url:
        yield f"{url}/docs"


def test_it_is_shown_with_its_style_and_loads_nothing_else(browser: Browser, docs):
    browser.open(docs)
    assert browser.driver.title == "hubrepo: the API"
    assert browser.complaints() == []
    assert [each for each in browser.run(LOADED) if not each.startswith("data:")] == []
    # Its own style counts, though no other would.
    assert browser.run("return getComputedStyle(document.querySelector('.page')).display") == "grid"
    assert len(browser.driver.find_elements(By.TAG_NAME, "article")) > 50


def test_a_name_in_the_list_leads_to_its_operation(browser: Browser, docs):
    browser.open(docs)
    link = browser.driver.find_element(By.CSS_SELECTOR, 'nav a[href="#packages_publish"]')
    assert link.text.split("\n") == ["POST", "Publish the next version"]
    link.click()
    shown = "document.getElementById('packages_publish').getBoundingClientRect().top"
    browser.wait(lambda: browser.run(f"return Math.abs({shown}) < 40"))
    article = browser.driver.find_element(By.ID, "packages_publish").text
    for words in ("/api/packages/{name}/versions", "packages:publish", "Idempotency-Key", "409"):
        assert words in article
    browser.driver.find_element(
        By.CSS_SELECTOR, "#packages_publish a[href='#schema-Version']"
    ).click()
    browser.wait(lambda: browser.run("return location.hash") == "#schema-Version")


def test_an_example_opens_without_a_script(browser: Browser, docs):
    browser.open(f"{docs}#packages_show_version")
    example = browser.driver.find_element(
        By.CSS_SELECTOR, "#packages_show_version details:last-of-type"
    )
    pre = example.find_element(By.TAG_NAME, "pre")
    assert not pre.is_displayed()
    example.find_element(By.TAG_NAME, "summary").click()
    assert '"content_hash": "sha256:' in pre.text


def test_it_is_as_dark_as_people_like_it_and_fits_a_telephone(browser: Browser, docs):
    for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 28)")):
        with browser.prefers(scheme):
            browser.open(docs)
            assert browser.run(COLOUR) == colour
    size = browser.driver.get_window_size()
    try:
        browser.driver.set_window_size(500, 900)
        browser.open(docs)
        assert not browser.run(IS_WIDE)
    finally:
        browser.driver.set_window_size(size["width"], size["height"])
