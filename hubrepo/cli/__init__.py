"""`hubrepo [-c INI] COMMAND`: what those who run a hub do at its side.

The commands call the same services as HTTP does; what they change is in the audit, under the name
of the operating system's user.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

import hubrepo
from hubrepo import memory
from hubrepo.cli import accounts, serving, storage
from hubrepo.cli.command import EXPECTED, Command, sentence_of
from hubrepo.kernel.accounts import Organisation

__all__ = ["Command", "bootstrap_org", "issue_api_key", "main", "program", "shell_setup"]


class OneSentence(click.Group):
    """A group whose commands say in one sentence why they could not do what they should."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # click ends quietly when nobody reads on
        except EXPECTED as error:
            raise click.ClickException(sentence_of(error)) from None


@click.group(cls=OneSentence, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    "ini",
    default="development.ini",
    show_default=True,
    help="The ini file of the hub.",
)
@click.version_option(package_name="hubrepo")
@click.pass_context
def main(ctx: click.Context, ini: str) -> None:
    """Run a hub, and look after its organisations and keys."""
    ctx.obj = Command(ini)
    ctx.call_on_close(ctx.obj.close)


def _of_features() -> Iterator[click.Command]:
    """The commands that features have, each in its module `commands`."""
    for feature in hubrepo.FEATURES:
        if find_spec(f"{feature}.commands") is not None:
            yield from import_module(f"{feature}.commands").COMMANDS


for _each in (*accounts.COMMANDS, *serving.COMMANDS, *storage.COMMANDS, *_of_features()):
    main.add_command(_each)


def program(arguments: Sequence[str] | None = None) -> None:
    """`hubrepo`, in a process of its own."""
    memory.keep_loaded()
    main(arguments, prog_name="hubrepo")


def _alone(name: str) -> Callable[[], None]:
    """A command as a program of its own: the reference's name for it, with the same options."""

    def alone() -> None:
        program([*_config_first(sys.argv[1:], name)])

    return alone


def _config_first(arguments: list[str], name: str) -> Iterator[str]:
    """`-c INI` belongs before the command, wherever it was written."""
    rest = list(arguments)
    for flag in ("-c", "--config"):
        if flag in rest[:-1]:
            at = rest.index(flag)
            yield from rest[at : at + 2]
            del rest[at : at + 2]
    yield from (name, *rest)


bootstrap_org = _alone("bootstrap-org")
issue_api_key = _alone("issue-api-key")


def shell_setup(env: dict[str, Any]) -> None:
    """What `pshell` has at hand: `db`, a reading session, and `registry`."""
    registry = env["registry"]
    env["db"] = registry.database.reading()
    env["Organisation"] = Organisation
