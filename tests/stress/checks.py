"""The findings of `hubrepo check`, called as an operator calls it."""

import json
import subprocess

from tests.support.process import HubProcess


def kinds(hub: HubProcess, *arguments: str) -> set[str]:
    """Return the kinds of what it finds."""
    problem = ""
    try:
        told = hub.command("check", "--json", *arguments)
    except subprocess.CalledProcessError as error:
        told, problem = error.stdout, error.stderr
    assert told, problem
    *findings, summary = map(json.loads, told.splitlines())
    found = {each["kind"] for each in findings}
    assert found == set(summary["checked"]["found"])
    return found
