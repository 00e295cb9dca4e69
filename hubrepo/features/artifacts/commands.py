"""What those who run a hub do about tokens at its side."""

from typing import Any

import click

from hubrepo.features.artifacts.errors import AdminExists
from hubrepo.features.artifacts.services import TokenService
from hubrepo.kernel.accounts import AccountService
from hubrepo.kernel.base import date, now, table


@click.command("issue-artifact-token")
@click.option("--org", "slug", required=True, help="Slug of the organisation.")
@click.option("--admin", is_flag=True, help="Let it register and prune tokens, and do everything.")
@click.option("--label", default="", help="What the token is for.")
@click.option("--force", is_flag=True, help="Issue one more admin token.")
@click.pass_obj
def issue_token(command: Any, slug: str, admin: bool, label: str, force: bool) -> None:
    """Issue a token for artifacts, and print it, for the only time and alone on its line.

    An organisation's first admin token comes from here; with it one registers others over HTTP. So
    a second one is refused without --force.
    """
    with command.changing("artifacts:register", f"organisation:{slug}", slug) as (db, log):
        organisation = AccountService(db, log, now()).organisation(slug)
        tokens = TokenService(db, organisation.id, log, now())
        if admin and not force and tokens.has_admin():
            raise AdminExists(slug)
        raw = tokens.issue(admin=admin, label=label)
    click.echo(raw)


@click.command("list-artifact-tokens")
@click.option("--org", "slug", required=True, help="Slug of the organisation.")
@click.pass_obj
def list_tokens(command: Any, slug: str) -> None:
    """List the tokens for artifacts of an organisation, oldest first, by the digests that prune them."""
    with command.changing("artifacts:list", f"organisation:{slug}", slug) as (db, log):
        organisation = AccountService(db, log, now()).organisation(slug)
        rows = [
            (
                each.digest, "yes" if each.admin else "no", date(each.created_at),
                date(each.last_used_at), each.label,
            )
            for each in TokenService(db, organisation.id, log, now()).tokens()
        ]  # fmt: skip
    click.echo(table(("DIGEST", "ADMIN", "CREATED", "LAST USED", "LABEL"), rows))


COMMANDS = (issue_token, list_tokens)
