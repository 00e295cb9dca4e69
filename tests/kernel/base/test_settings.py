"""Settings are read once, strictly, and say what is wrong in one sentence."""

from dataclasses import dataclass

import pytest

from hubrepo.kernel.base import Misconfigured, lines_of, read_section, setting


@dataclass(frozen=True)
class Tea:
    """An example."""

    kind: str = setting(help="Which leaves.")
    minutes: int = setting(3, minimum=1, help="How long.")
    milk: bool = setting(False, help="Whether to spoil it.")


def read(raw=None, environ=None):
    return read_section(Tea, "hubrepo.tea", raw or {}, environ or {})


def test_a_section_is_read_from_the_file_and_its_defaults():
    raw = {"hubrepo.tea.kind": " oolong ", "hubrepo.tea.milk": "Yes"}
    assert read(raw) == Tea("oolong", 3, True)


def test_the_environment_goes_before_the_file():
    raw = {"hubrepo.tea.kind": "oolong", "hubrepo.tea.minutes": "4"}
    environ = {"HUBREPO_TEA__MINUTES": "5", "HUBREPO_TEA__KIND": ""}
    assert read(raw, environ) == Tea("oolong", 5, False)


def test_every_line_knows_its_variable():
    variables = [line.variable for line in lines_of(Tea, "hubrepo.tea")]
    assert variables == [f"HUBREPO_TEA__{each}" for each in ("KIND", "MINUTES", "MILK")]


def test_a_bad_line_stops_the_boot_and_is_named():
    for line, value, sentence in (
        (
            "kind",
            "",
            "is not set: give it in the ini file, or as HUBREPO_TEA__KIND in the environment",
        ),
        ("minutes", "long", "must be a whole number, not 'long'"),
        ("minutes", "0", "must be at least 1, not 0"),
        ("minutes", "9" * 5000, "must be a whole number"),
        ("milk", "perhaps", "must be true or false, not 'perhaps'"),
    ):
        with pytest.raises(Misconfigured) as caught:
            read({"hubrepo.tea.kind": "oolong", f"hubrepo.tea.{line}": value})
        assert str(caught.value).startswith(f"hubrepo.tea.{line} {sentence}")
    with pytest.raises(Misconfigured, match="kind is not set"):
        read({})
