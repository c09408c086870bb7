"""Deliveries: list, show, release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from suture.cli import exits, output, times, tree
from suture.cli.acting import confirm, report, show_preview
from suture.cli.message import show_deliveries
from suture.cli.options import (
    ID,
    channel_option,
    dry_run_option,
    moment,
    page_options,
    reason_option,
    store_options,
    wait_option,
    yes_option,
)
from suture.cli.session import Session
from suture.model import states


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
    from suture.store.queries import DeliveryFilter

    wanted = DeliveryFilter(since_us=moment(session, since, "--since"), until_us=moment(session, until, "--until"), **given)
    found = session.control.deliveries(wanted)
    if session.as_json:
        output.print_json(found)
        return exits.OK
    show_deliveries(session, found, "no delivery fits")
    if len(found) == wanted.limit:
        click.echo(f"perhaps there are more: --before {found[-1]['id']}")
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
    if body:
        row, payload, attempts = session.control.payload(delivery_id)
    else:
        row, attempts = session.control.delivery(delivery_id)
        payload = b""
    if session.as_json:
        content = {"body": payload.decode("utf-8", "replace")} if body else {}
        output.print_json({**row, **content, "attempt_list": [_attempt_json(each) for each in attempts]})
        return exits.OK
    _show(session, row, attempts)
    if body:
        output.say(f"\n{tree.readable(payload) if payload else '(no payload could be made)'}")
        for each in attempts:
            if each["response"]:
                output.say(f"\nanswer to attempt {each['number']}:\n{tree.readable(bytes(each['response']))}")
    return exits.OK


def _attempt_json(row: dict[str, Any]) -> dict[str, Any]:
    response = row["response"]
    return {**row, "response": None if response is None else bytes(response).decode("utf-8", "replace")}


def _show(session: Session, row: dict[str, Any], attempts: list[dict[str, Any]]) -> None:
    facts = ((name.removesuffix("_us").removesuffix("_at").replace("_", " "), _fact(session, name, value)) for name, value in row.items())
    output.print_facts(facts)
    click.echo()
    headers = ["attempt", "ended", "took", "outcome", "code", "reason"]
    rows = []
    for each in attempts:
        took = f"{(each['ended_at_us'] - each['started_at_us']) / 1000:.1f} ms"
        rows.append([each["number"], session.time(each["ended_at_us"], True), took, each["outcome"], each["code"], each["reason"]])
    output.print_table(headers, rows, empty="not tried yet")


def _fact(session: Session, name: str, value: Any) -> Any:
    return session.time(value, True) if name.endswith("_us") else value


@delivery.command()
@store_options
@click.argument("ids", type=ID, nargs=-1, metavar="[ID]...")
@click.option("--restored", is_flag=True, help="All that a restore of the store has held, the oldest first (10,000 at a time).")
@click.option("--to", "destination", help="Of those, only for this destination.", metavar="DESTINATION")
@reason_option
@dry_run_option
@yes_option
@wait_option
def release(
    session: Session, ids: Sequence[int], restored: bool, destination: str | None, reason: str, dry_run: bool, yes: bool, wait_s: float
) -> int:
    """Put held and dead deliveries back to their lanes; a payload that could not be made is made by today's mapping.

    \b
    Examples:
      suture delivery release 456 457 --reason "billing confirmed it has neither"
      suture delivery release 456 --dry-run --reason "department added to the table"
      suture delivery release --restored --to erp --reason "the ERP has none of them"
    """
    ids = _chosen(session, ids, restored, destination)
    if not ids:
        click.echo("suture: nothing to do", err=True)
        return exits.FAILED
    if dry_run:
        show_preview(session, session.control.preview_release(ids))
        return exits.OK
    confirm(f"Put {len(ids)} back to be sent?", yes)
    return report(session, session.control.release(ids, reason, wait_s), f"{len(ids)} released")


def _chosen(session: Session, ids: Sequence[int], restored: bool, destination: str | None) -> Sequence[int]:
    """The deliveries named by number, or all that a restore has held. Raises UsageError when it is neither or both."""
    if bool(ids) == restored:
        raise click.UsageError("name deliveries by number, or add --restored; one of the two")
    if destination is not None and not restored:
        raise click.UsageError("--to goes with --restored")
    return session.control.restored(destination) if restored else ids
