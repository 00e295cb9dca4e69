"""The findings of `hubrepo check`, called as an operator calls it."""

import json
import subprocess
from collections import Counter

from tests.support.process import HubProcess


def check(hub: HubProcess, *arguments: str) -> tuple[int, dict[str, str]]:
    """Return its exit status, and the kinds of its findings by subject."""
    status, problem = 0, ""
    try:
        told = hub.command("check", "--json", *arguments)
    except subprocess.CalledProcessError as error:
        status, told, problem = error.returncode, error.stdout, error.stderr
    assert told, problem
    *findings, summary = map(json.loads, told.splitlines())
    found = {each["subject"]: each["kind"] for each in findings}
    assert Counter(each["kind"] for each in findings) == summary["checked"]["found"]
    return status, found


def kinds(hub: HubProcess, *arguments: str) -> set[str]:
    """Return the kinds of what it finds."""
    return set(check(hub, *arguments)[1].values())
