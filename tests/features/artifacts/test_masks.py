"""What logs, the audit and errors show of a URL that names a token, however it is spelled."""

import json

import pytest

from hubrepo.kernel.base import redact
from tests.support.hub import Hub

RAW = "0123456789abcdef" * 3
MISTYPED = f"{RAW[:-1]}G"


@pytest.fixture(autouse=True)
def known(hub: Hub) -> None:
    """The application has said what a token looks like."""


@pytest.mark.parametrize("token", [RAW, MISTYPED, RAW.upper(), f"a {RAW[:-2]}", f'"{RAW}'])
@pytest.mark.parametrize(
    "url",
    [
        "/fetch/{}", "/api/prune/{}/", "/hub/fetch/{}", "/hub/api/fetch/{}", "//fetch/{}", "/api//fetch//{}",
        "http://127.0.0.1:6543/prune/{}", "/fetch%2F{}", "/fetch%2f{}",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "line",
    ['127.0.0.1 - "GET {}" 404 38 1.2ms', '127.0.0.1 - \\"GET {}\\" 404 38', "GET {} failed"],
)
def test_of_what_stands_for_a_token_nothing_is_shown(line: str, url: str, token: str):
    shown = redact(line.format(url.format(token)))
    assert not any(part in shown for part in (token[:20], token[-20:], RAW[:20]))
    assert "…" in shown
    assert shown[:3] == line[:3]


@pytest.mark.parametrize("before", [" ", "/", "%20", "%2F", "=", '"', "x-", "\\n", "\\t", "\\x1b"])
def test_a_token_is_known_wherever_it_begins(before: str):
    assert RAW not in redact(f"/product/x{before}{RAW} and more")


@pytest.mark.parametrize(
    "before", ["\n", "\r", "\t", "\b", "\x1b", "\u2028", "\U000e0001", "\ud800"]
)
def test_so_it_is_where_what_is_before_it_is_escaped(before: str):
    assert RAW not in redact(repr([before + RAW]))
    assert RAW not in redact(json.dumps({before + RAW: 1}))


@pytest.mark.parametrize(
    "text",
    [
        "GET /product/fetch/my-lib", "GET /api/product/fetch/my-lib/", "/pages/acme/docs/fetch/index.html",
        "GET /pages/prune/x", "leads to 'https://api.example.com/fetch/:splat', and more", "a /fetch/b",
        f"sha256:{RAW}{'0' * 16}", f"{RAW}0", "to fetch/prune is meant", "/fetch/",
    ],
)  # fmt: skip
def test_what_names_no_token_is_shown(text: str):
    assert redact(text) == text
