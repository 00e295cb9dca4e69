"""Settings, read in the `includeme` of the part they belong to."""

import os
from typing import Any, TypeVar

from hubrepo.kernel.base import Misconfigured, lines_of, read_section

Section = TypeVar("Section")


def add_section(config: Any, section: type[Section], prefix: str) -> Section:
    """Directive: read `section` below `prefix`, now. Two claims to one line fail at boot."""
    settings = read_section(section, prefix, config.registry.settings, os.environ)
    for line in lines_of(section, prefix):
        config.registry.known_settings[line.key] = line
        config.action(("setting", line.key))
    return settings


def refuse_unknown_settings(registry: Any) -> None:
    """Raise Misconfigured for a line `hubrepo.…` that no part reads: it is a typing error."""
    ours = {key for key in registry.settings if key.startswith("hubrepo.")}
    for key in sorted(ours - registry.known_settings.keys()):
        raise Misconfigured(f"{key} is not a setting of the hub: remove the line or mend its name")
