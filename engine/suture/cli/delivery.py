"""Deliveries: list, show, release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from suture.cli import exits, output, times, tree
from suture.cli.acting import MOST_IDS, confirm, go_on, report, show_preview
from suture.cli.message import show_deliveries
from suture.cli.options import (
    ID,
    about_filters,
    channel_option,
    dry_run_option,
    limit_option,
    moment,
    named,
    page_options,
    reason_option,
    require_one,
    store_options,
    time_filters,
    wait_option,
    yes_option,
)
from suture.cli.session import Session
from suture.model import states

if TYPE_CHECKING:
    from suture.model.views import AttemptView, DeliveryView

RESTORED = "RESTORED"
"""As in store/after_restore.py, which is not loaded for this."""


@click.group()
def delivery() -> None:
    """Deliveries: list, show, release."""


@delivery.command("list")
@store_options
@channel_option
@click.option("--to", "destination", help="Only for this destination.", metavar="DESTINATION")
@click.option("--state", type=click.Choice(states.DELIVERY_STATES), help="Only in this state.")
@click.option("--message", "message_id", type=ID, help="Only of this message.", metavar="ID")
@click.option("--since", help=f"Made at or after: {times.EXAMPLES}.", metavar="TIME")
@click.option("--until", help="Made before.", metavar="TIME")
@page_options
def list_(session: Session, since: str | None, until: str | None, **given: Any) -> int:
    """List deliveries, the newest first.

    \b
    Examples:
      suture delivery list --to erp --state retrying
      suture delivery list --state dead --since 7d --json
    """
    from suture.store import look

    wanted = look.DeliveryFilter(since_us=moment(session, since, "--since"), until_us=moment(session, until, "--until"), **given)
    found = session.control.look(look.deliveries, wanted, session.control.known)
    if session.as_json:
        output.print_json(found)
        return exits.OK
    show_deliveries(session, found, "no delivery fits")
    if len(found) == wanted.limit:
        click.echo(f"perhaps there are more: --before {found[-1].id}")
    return exits.OK


@delivery.command()
@store_options
@click.argument("delivery_id", type=ID, metavar="ID")
@click.option("--body", is_flag=True, help="Also the bytes that go out and the peer's answers; written to the audit.")
def show(session: Session, delivery_id: int, body: bool) -> int:
    """Show one delivery and its attempts.

    \b
    Examples:
      suture delivery show 456
      suture delivery show 456 --body
    """
    from suture.store import look

    if body:
        row, payload, attempts = session.control.look_inside(look.payload, delivery_id)
    else:
        row, attempts = session.control.look(look.delivery, delivery_id)
        payload = b""
    if session.as_json:
        content = {"body": payload.decode("utf-8", "replace")} if body else {}
        output.print_json({**row.public(), **content, "attempt_list": [_attempt_json(each) for each in attempts]})
        return exits.OK
    _show(session, row, attempts)
    if body:
        output.say(f"\n{tree.readable(payload) if payload else '(no payload could be made)'}")
        for each in attempts:
            if each.response:
                output.say(f"\nanswer to attempt {each.number}:\n{tree.readable(each.response)}")
    return exits.OK


def _attempt_json(one: AttemptView) -> dict[str, Any]:
    return {**one.public(), "response": one.response.decode("utf-8", "replace") if isinstance(one.response, bytes) else None}


def _show(session: Session, row: DeliveryView, attempts: list[AttemptView]) -> None:
    shown = [(name, value) for name, value in row.public().items() if name != "words"]  # they stand in the reason
    facts = ((name.removesuffix("_us").removesuffix("_at").replace("_", " "), _fact(session, name, value)) for name, value in shown)
    output.print_facts(facts)
    click.echo()
    headers = ["attempt", "ended", "took", "outcome", "code", "reason"]
    rows = []
    for each in attempts:
        took = f"{(each.ended_at_us - each.started_at_us) / 1000:.1f} ms"
        rows.append([each.number, session.time(each.ended_at_us, True), took, each.outcome, each.code, each.reason])
    output.print_table(headers, rows, empty="not tried yet")


def _fact(session: Session, name: str, value: Any) -> Any:
    return session.time(value, True) if name.endswith("_us") else value


@delivery.command()
@store_options
@click.argument("ids", type=ID, nargs=-1, metavar="[ID]...")
@click.option("--restored", is_flag=True, help="Those that a restore of the store has held (as --code RESTORED).")
@about_filters
@click.option("--state", type=click.Choice([states.HELD, states.DEAD]), help="Only in this state.")
@time_filters("Made")
@limit_option(MOST_IDS, "oldest", MOST_IDS)
@reason_option
@dry_run_option
@yes_option
@wait_option
def release(
    session: Session, ids: Sequence[int], restored: bool, limit: int, reason: str, dry_run: bool, yes: bool, wait_s: float, **given: Any
) -> int:
    """Put held and dead deliveries back to their lanes; a payload that could not be made is made by today's mapping.

    By filters it takes those of which an exception is open, the oldest first, and shows them before it asks.

    \b
    Examples:
      suture delivery release 456 457 --reason "billing confirmed it has neither"
      suture delivery release 456 --dry-run --reason "department added to the table"
      suture delivery release --to billing --code 422 --since today --reason "billing mended its rule"
      suture delivery release --table departments --value 7741 --reason "department added to the table" --yes
      suture delivery release --restored --to erp --reason "the ERP has none of them"
    """
    from suture.model.verbs import Release
    from suture.store import look

    if restored and given["code"] not in (None, RESTORED):
        raise click.UsageError("--restored is --code RESTORED; write one of the two")
    filters = named(**{**given, "code": RESTORED if restored else given["code"]})
    require_one(ids, filters, "deliveries", "--to billing --code 422")
    ids = ids or _waiting(session, limit, **filters)
    items = session.control.look(look.release, ids)
    if dry_run:
        show_preview(session, items)
        return exits.OK
    if filters:
        ids = [item.delivery_id for item in items if item.action == "send" and item.delivery_id is not None]
        if not go_on(session, items, len(ids), f"Put {len(ids)} back to be sent?", yes):
            return exits.FAILED
    else:
        confirm(f"Put {len(ids)} back to be sent?", yes)
    return report(session, session.control.ask_for(Release(list(ids), reason), wait_s), f"{len(ids)} released")


def _waiting(session: Session, limit: int, since: str | None = None, until: str | None = None, **given: Any) -> list[int]:
    """The deliveries that wait for a person and fit; it is said when there are more."""
    from suture.store import look

    times_us = moment(session, since, "--since"), moment(session, until, "--until")
    wanted = look.ReleaseFilter(since_us=times_us[0], until_us=times_us[1], limit=limit + 1, **given)
    found = session.control.look(look.releasable, wanted, session.control.known)
    if len(found) > limit:
        click.echo(f"more than {limit} fit: these are the oldest; run it again for the rest", err=True)
    return found[:limit]
