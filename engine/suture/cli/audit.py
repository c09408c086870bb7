"""The audit: who did what, when and why."""

from __future__ import annotations

from typing import Any

import click

from suture.cli import exits, output
from suture.cli.options import moment, page_options, store_options, time_filters
from suture.cli.session import Session


@click.group()
def audit() -> None:
    """The audit: who did what, when and why."""


@audit.command("list")
@store_options
@click.option("--actor", help="Only of this one: nurse, or cli:nurse.", metavar="NAME")
@click.option("--verb", help="Only this verb, as the list shows it: resend, look, exception_resolve.", metavar="VERB")
@click.option("--target", help="Only where the target has this in it: 'message 17'.", metavar="TEXT")
@time_filters("Done")
@page_options
def list_(session: Session, since: str | None, until: str | None, **given: Any) -> int:
    """List what operators did and looked at, the newest first; whom somebody searched for is shown as a hash.

    \b
    Examples:
      suture audit list --since today
      suture audit list --actor nurse --verb resend --json
    """
    from suture.store.orders import audited
    from suture.store.queries import AuditFilter

    wanted = AuditFilter(since_us=moment(session, since, "--since"), until_us=moment(session, until, "--until"), **given)
    found = session.control.look(audited, wanted)
    if session.as_json:
        output.print_json(found)
        return exits.OK
    rows = [[row.id, session.time(row.at_us), row.actor, row.verb, row.target, row.reason] for row in found]
    output.print_table(["id", "time", "actor", "verb", "target", "reason"], rows, empty="nothing in the audit fits")
    if len(found) == wanted.limit:
        click.echo(f"perhaps there are more: --before {found[-1].id}")
    return exits.OK
