"""Settings: one frozen dataclass per part, read once at boot.

A dataclass is a section of the ini file. Each field is one line of it; its type says how the text is
read, its metadata what it means (`docs/settings.md` is tested against both). The environment
overrides the file by rule: `hubrepo.uploads.max_size` is `HUBREPO_UPLOADS__MAX_SIZE`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar, get_type_hints

from hubrepo.kernel.base.errors import Misconfigured

Section = TypeVar("Section")

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def setting(default: Any = MISSING, *, help: str, minimum: int | None = None) -> Any:  # noqa: A002
    """A field of a section. Without a default the hub does not start until it is given."""
    metadata = {"help": help, "minimum": minimum}
    return (
        field(metadata=metadata)
        if default is MISSING
        else field(default=default, metadata=metadata)
    )


@dataclass(frozen=True)
class Line:
    """One setting as people meet it: in the ini file, in the environment, in the documentation."""

    key: str
    variable: str
    kind: type
    default: Any
    help: str


def environment_name(key: str) -> str:
    """The environment variable that overrides `key`: dots become `__`, the first one `_`."""
    head, *rest = key.split(".")
    return "_".join([head, "__".join(rest)]).upper()


def lines_of(section: type[Any], prefix: str) -> Iterator[Line]:
    """The settings that `section` reads below `prefix`."""
    hints = get_type_hints(section)
    for each in fields(section):
        key = f"{prefix}.{each.name}"
        yield Line(
            key, environment_name(key), hints[each.name], each.default, each.metadata["help"]
        )


def read_section(
    section: type[Section], prefix: str, raw: Mapping[str, str], environ: Mapping[str, str]
) -> Section:
    """Build `section` from `environ`, `raw` and its defaults, in this order.

    Raises Misconfigured for a value that cannot be read, or that is nowhere given.
    """
    values = {}
    for each, line in zip(fields(section), lines_of(section, prefix), strict=True):  # type: ignore[arg-type]
        text = environ.get(line.variable, "") or raw.get(line.key, "")
        if text:
            values[each.name] = _read(line, each, text.strip())
        elif each.default is MISSING:
            raise Misconfigured(
                f"{line.key} is not set: give it in the ini file, or as {line.variable} in the environment"
            )
    return section(**values)


def _read(line: Line, each: Field[Any], text: str) -> object:
    if line.kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise Misconfigured(f"{line.key} must be true or false, not {text!r}")
    if line.kind is int:
        minimum = each.metadata.get("minimum")
        if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 18:
            raise Misconfigured(f"{line.key} must be a whole number, not {text!r}")
        if minimum is not None and int(text) < minimum:
            raise Misconfigured(f"{line.key} must be at least {minimum}, not {text}")
        return int(text)
    return text
