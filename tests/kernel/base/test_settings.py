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
    assert [line.variable for line in lines_of(Tea, "hubrepo.tea")] == [
        "HUBREPO_TEA__KIND",
        "HUBREPO_TEA__MINUTES",
        "HUBREPO_TEA__MILK",
    ]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            {},
            "hubrepo.tea.kind is not set: give it in the ini file, or as HUBREPO_TEA__KIND in the environment",
        ),
        ({"minutes": "long"}, "hubrepo.tea.minutes must be a whole number, not 'long'"),
        ({"minutes": "0"}, "hubrepo.tea.minutes must be at least 1, not 0"),
        ({"minutes": "9" * 5000}, "hubrepo.tea.minutes must be a whole number"),
        ({"milk": "perhaps"}, "hubrepo.tea.milk must be true or false, not 'perhaps'"),
    ],
)
def test_a_bad_line_stops_the_boot_and_is_named(raw, sentence):
    with pytest.raises(Misconfigured) as caught:
        read({f"hubrepo.tea.{key}": value for key, value in ({"kind": "oolong"} if raw else {}).items()}
             | {f"hubrepo.tea.{key}": value for key, value in raw.items()})  # fmt: skip
    assert str(caught.value).startswith(sentence)
