"""Debian's Chromium, to see published pages with, and the things that only pages in a browser need.

It reaches this machine and nothing else. Names below `localhost` are the hosts to use: browsers trust
them as they trust HTTPS, so that nothing is missing from a page for want of a certificate.
"""

import io
import json
import os
import struct
import wave
import zlib
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
    "--disable-background-networking",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
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


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A picture of one colour."""
    rows = (b"\0" + bytes(colour) * width) * height
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def wav(seconds: int) -> bytes:
    """Silence."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams((1, 1, 8000, 0, "NONE", ""))
        sound.writeframes(b"\x80" * 8000 * seconds)
    return buffer.getvalue()


# A module that exports `sum`, of two numbers of 32 bits.
WASM_SUM = bytes.fromhex(
    "00 61 73 6d 01 00 00 00"  # what it is, in its version 1
    "01 07 01 60 02 7f 7f 01 7f"  # a type: two numbers make one
    "03 02 01 00"  # a function of that type
    "07 07 01 03 73 75 6d 00 00"  # its name
    "0a 09 01 07 00 20 00 20 01 6a 0b"  # what it does: take the one, take the other, add
)


def truetype() -> bytes:
    """A font of one letter, A: a square, one and a half em wide. Browsers take it with no table less."""
    square = struct.pack(">5h", 1, 0, 0, 800, 800) + struct.pack(">HH", 3, 0) + b"\x01" * 4
    square += struct.pack(">4h", 0, 0, 800, 0) + struct.pack(">4h", 0, 800, 0, -800) + b"\0\0"
    ranges = struct.pack(">2HH2H2h2H", 65, 0xFFFF, 0, 65, 0xFFFF, 1 - 65, 1, 0, 0)
    letters = struct.pack(">7H", 4, 14 + len(ranges), 0, 4, 4, 1, 0) + ranges
    tables = {
        b"OS/2": struct.pack(">Hh3H", 4, 1500, 400, 5, 0) + bytes(86),
        b"cmap": struct.pack(">4HI", 0, 1, 3, 1, 12) + letters,
        b"glyf": square,
        b"head": struct.pack(">4I2H", 0x10000, 0x10000, 0, 0x5F0F3CF5, 3, 1000)
        + struct.pack(">2Q4h2H3h", 0, 0, 0, 0, 800, 800, 0, 8, 2, 1, 0),
        b"hhea": struct.pack(">I3hH11hH", 0x10000, 800, 0, 0, 1500, 0, 700, 800, 1, *[0] * 7, 2),
        b"hmtx": struct.pack(">HhHh", 1500, 0, 1500, 0),
        b"loca": struct.pack(">3I", 0, 0, len(square)),
        b"maxp": struct.pack(">I14H", 0x10000, 2, 4, 1, 0, 0, 1, *[0] * 8),
        b"name": struct.pack(">3H", 0, 0, 6),
        b"post": struct.pack(">I", 0x30000) + bytes(28),
    }
    directory, content, offset = b"", b"", 12 + 16 * len(tables)
    for tag, data in tables.items():
        padded = data + bytes(-len(data) % 4)
        checksum = sum(struct.unpack(f">{len(padded) // 4}I", padded)) & 0xFFFFFFFF
        directory += struct.pack(">4s3I", tag, checksum, offset + len(content), len(data))
        content += padded
    head = struct.pack(">I4H", 0x10000, len(tables), 128, 3, len(tables) * 16 - 128)
    return head + directory + content
