"""Debian's Chromium, to see published pages with.

It reaches this machine and nothing else. Names below `localhost` are the hosts to use: browsers trust
them as they trust HTTPS, so that nothing is missing from a page for want of a certificate.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PROGRAMS = (Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver"))
HOW_TO_GET_THEM = "apt-get install chromium chromium-driver"

_PATIENCE = 20.0
_ARGUMENTS = (
    "--headless=new",
    # Whatever is not on this machine is not there.
    "--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-proxy-server",
    *("--disable-background-networking", "--disable-client-side-phishing-detection"),
    *("--disable-component-update", "--disable-default-apps", "--disable-domain-reliability"),
    *("--disable-extensions", "--disable-sync", "--metrics-recording-only", "--no-first-run"),
    "--no-pings",
    # Slow machines have no graphics and little shared memory.
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--window-size=1000,700",
)

# Cookies go wherever their own rules let them: no test shall pass only because a browser is strict.
_PREFERENCES = {"profile.block_third_party_cookies": False, "profile.cookie_controls_mode": 0}


def missing() -> str | None:
    """Why there is no browser here; None if there is one."""
    absent = [str(each) for each in PROGRAMS if not each.exists()]
    return f"no {' and no '.join(absent)}: {HOW_TO_GET_THEM}" if absent else None


class Browser:
    """One window. `driver` is Selenium's own. Use it with `with`."""

    def __init__(self, downloads: Path) -> None:
        self.downloads = downloads
        chromium, chromedriver = PROGRAMS
        options = ChromeOptions()
        options.binary_location = str(chromium)
        for argument in _ARGUMENTS:
            options.add_argument(argument)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        options.add_experimental_option(
            "prefs", {**_PREFERENCES, "download.default_directory": str(downloads)}
        )
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # With a path Selenium does not go and look for a driver.
        self.driver = Chrome(options, Service(str(chromedriver)))
        self.driver.set_page_load_timeout(_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()

    def forget(self) -> None:
        """As if nobody had looked at anything yet."""
        first, *others = self.driver.window_handles
        for handle in others:
            self.driver.switch_to.window(handle)
            self.driver.close()
        self.driver.switch_to.window(first)
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        self.driver.get_log("browser")

    def remember(self, url: str, name: str, value: str, same_site: str) -> None:
        """A cookie of the host of `url`, which scripts cannot read."""
        cookie = {"url": url, "name": name, "value": value, "httpOnly": True}
        # What may go anywhere must be sent in secret; of localhost browsers believe that it is.
        rules = {"sameSite": same_site, "secure": same_site == "None"}
        assert self.driver.execute_cdp_cmd("Network.setCookie", {**cookie, **rules})["success"]

    def open(self, url: str) -> None:
        """Go there, and wait until the page says that it is loaded."""
        self.driver.get(url)

    def wait(self, what: Callable[[], Any]) -> Any:
        """The first true value of `what`."""
        try:
            return WebDriverWait(self.driver, _PATIENCE, 0.05).until(lambda _: what())
        except TimeoutException:
            raise AssertionError(f"not in time; the browser says {self.complaints()}") from None

    def report(self) -> dict[str, Any]:
        """What a page with `report.js` has written down, once it has."""
        (place,) = self.wait(lambda: self.driver.find_elements(By.CSS_SELECTOR, "#report.done"))
        outcomes: dict[str, Any] = json.loads(place.get_property("textContent"))
        return outcomes

    def text(self) -> str:
        """What can be read on the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def run(self, script: str) -> Any:
        """What `script` returns in the page."""
        return self.driver.execute_script(script)

    def complaints(self) -> list[str]:
        """The errors in the browser's console since it was last asked."""
        log = self.driver.get_log("browser")
        return [each["message"] for each in log if each["level"] == "SEVERE"]

    @contextmanager
    def prefers(self, scheme: str) -> Iterator[None]:
        """Pages are told that people like it `light`, or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
