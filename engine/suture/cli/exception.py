"""Exceptions, which wait for a person: list, show, resolve."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from suture.cli import exits, output
from suture.cli.acting import MOST_IDS, MOST_SHOWN, confirm
from suture.cli.options import (
    ID,
    about_filters,
    limit_option,
    moment,
    named,
    page_options,
    reason_option,
    require_one,
    store_options,
    time_filters,
    yes_option,
)
from suture.cli.session import Session
from suture.model import states

if TYPE_CHECKING:
    from suture.model.views import ExceptionView
    from suture.store.queries import ExceptionFilter

HEADERS = ("id", "opened", "message", "delivery", "channel", "stage", "code", "line", "place", "value", "reason")
KINDS_SHOWN = 20


@click.group()
def exception() -> None:
    """Exceptions, which wait for a person: list, show, resolve."""


_stage = click.option(
    "--stage",
    type=click.Choice(["parse", states.BATCH_STAGE, "validate", "map", "render", "deliver", "restore"]),
    help="Only of this stage.",
)


def _filter(session: Session, since: str | None, until: str | None, **given: Any) -> ExceptionFilter:
    from suture.store.queries import ExceptionFilter

    return ExceptionFilter(since_us=moment(session, since, "--since"), until_us=moment(session, until, "--until"), **given)


@exception.command("list")
@store_options
@about_filters
@_stage
@time_filters("Opened")
@click.option("--open", "which", flag_value="open", default="open", help="Those that wait (the default).")
@click.option("--resolved", "which", flag_value="resolved", help="Those that are resolved.")
@click.option("--all", "which", flag_value="all", help="Both.")
@page_options
def list_(session: Session, which: str, **given: Any) -> int:
    """List exceptions, the newest first.

    \b
    Examples:
      suture exception list
      suture exception list --code UNKNOWN_CODE --channel or-supply --json
      suture exception list --to billing --since today
    """
    wanted = _filter(session, open={"open": True, "resolved": False, "all": None}[which], **given)
    found = _exceptions(session, wanted)
    if session.as_json:
        output.print_json(found)
        return exits.OK
    headers = list(HEADERS)
    rows = [_row(session, each) for each in found]
    if which != "open":
        headers.append("resolved")
        for row, each in zip(rows, found, strict=True):
            row.append(f"{session.time(each.resolved_at_us)} {each.resolution}" if each.resolved_at_us else "")
    output.print_table(headers, rows, empty="no exceptions")
    if len(found) == wanted.limit:
        click.echo(f"perhaps there are more: --before {found[-1].id}")
    return exits.OK


def _exceptions(session: Session, wanted: ExceptionFilter) -> list[ExceptionView]:
    from suture.store import look

    return session.control.look(look.exceptions, wanted, session.control.known)


def _row(session: Session, e: ExceptionView) -> list[Any]:
    place = " ".join(part for part in (e.path, e.field) if part)
    value = f"{e.value} ({e.table_name})" if e.table_name else e.value
    opened = session.time(e.opened_at_us)
    return [
        e.id,
        opened,
        e.message_id,
        e.delivery_id,
        e.channel,
        e.stage,
        e.code,
        e.line or "",
        place,
        value,
        e.reason,
    ]


@exception.command()
@store_options
@click.argument("exception_id", type=ID, metavar="ID")
def show(session: Session, exception_id: int) -> int:
    """Show one exception, and what can be done about it.

    \b
    Example:
      suture exception show 7
    """
    from suture.store import look

    row = session.control.look(look.exception, exception_id)
    if session.as_json:
        output.print_json(row)
        return exits.OK
    shown = [(name, value) for name, value in row.public().items() if name != "words"]  # they stand in the reason
    facts = ((name.removesuffix("_at_us").replace("_", " "), session.time(v, True) if name.endswith("_us") else v) for name, v in shown)
    output.print_facts(facts)
    if not row.resolved_at_us:
        output.say(f"\n{_remedy(row)}")
    return exits.OK


def _remedy(row: ExceptionView) -> str:
    number = row.message_id
    if row.stage == "restore":
        if not row.delivery_id:
            return f"ask the partners whether they have it; then: suture message reprocess {number} --reason ... (or resolve it)"
        ask = f"ask {row.field} whether it has it"
        release = f"suture delivery release {row.delivery_id} --reason ..."
        return f"{ask}; if not: {release}; if so: suture exception resolve {row.id} --reason ..."
    if row.stage == "render":
        again = f"suture channel reload {row.channel} && suture delivery release {row.delivery_id} --reason ..."
        return f"look: suture message show {number} --events; {_fix(row)}; then: {again}"
    if row.stage == states.BATCH_STAGE:
        ask = "compare what came with what the sender meant to send, and have it send what is missing"
        return f"look: suture message show {number}; {ask}; then: suture exception resolve {row.id} --reason ..."
    if row.delivery_id:
        return f"look: suture delivery show {row.delivery_id}; then: suture message resend {number} --to {row.field} --reason ..."
    look = f"look: suture message show {number} --tree"
    if row.stage == "parse":
        return f"{look}; the sender has to correct it and send it anew; then: suture exception resolve {row.id} --reason ..."
    fix = _fix(row)
    if row.stage == "validate":
        fix = "have it corrected at its source, or change the profile or `hl7v2.validate` of the channel"
    return f"{look}; {fix}; then: suture channel reload {row.channel} && suture message reprocess {number} --reason ..."


_FIXES = {
    "KEY_CONFLICT": "compare it with the one that has the key (suture message trace); where they are two things, add to `business_key` "
    "what tells them apart (what came under the old key is not known under the new one), else resolve it",
    "NO_EVENT": "let an `emit` of the mapping take such lines, or name them in `skip`",
    "NO_LINES": "ask the sender; where such messages mean nothing here, take their type out of `accept`",
    "UNREADABLE_TYPE": "ask the sender for the event in MSH-9.2; what cannot be used is to be resolved",
    "AMBIGUOUS_CONTEXT": "say in the mapping which segment is meant, such as NTE(1)-3, or have each patient's message sent alone",
    "AMBIGUOUS_VALUE": "say in the path which repetition is meant, by number or by what is in it",
    "OUT_OF_BOUNDS": "have it corrected at its source, or widen `bounds` of the channel or `between` of the value",
    "STOCK_UNIT": "add a conversion to the unit of the stock, or mend the unit in stock.csv",
    "CHARSET": "set another value, or `send_as` and `send_as_unfit` of the endpoint",
}
"""What mends an exception, by its code, where it is neither a table nor a value of the mapping."""


def _fix(row: ExceptionView) -> str:
    if row.code in _FIXES:
        return _FIXES[row.code]
    return f"add {row.value!r} to the table {row.table_name}" if row.table_name else "correct the mapping or the table"


@exception.command()
@store_options
@click.argument("ids", type=ID, nargs=-1, metavar="[ID]...")
@about_filters
@_stage
@time_filters("Opened")
@limit_option(MOST_IDS, most=MOST_IDS)
@reason_option
@click.option("--dry-run", is_flag=True, help="Only show what would be closed.")
@yes_option
def resolve(session: Session, ids: tuple[int, ...], reason: str, dry_run: bool, yes: bool, limit: int, **given: Any) -> int:
    """Close exceptions that need nothing more; the message or delivery stays as it is.

    By filters it takes those that are open, and shows them before it asks.

    \b
    Examples:
      suture exception resolve 7 8 --reason "test message of the vendor"
      suture exception resolve --code BATCH_COUNT --channel or-supply --dry-run --reason "the cabinet counts wrong"
      suture exception resolve --table items --value ZZ-999 --since 7d --reason "the item was never used" --yes
    """
    filters = named(**given)
    require_one(ids, filters, "exceptions", "--code BATCH_COUNT --channel or-supply")
    found = _to_resolve(session, ids, given, limit)
    if dry_run:
        _preview(session, found)
        return exits.OK
    if not found:
        click.echo("suture: nothing to do", err=True)
        return exits.FAILED
    if filters and not session.as_json:
        _preview(session, found)
    confirm(f"Close {len(found)} exceptions?", yes)
    wanted = [row.id for row in found]
    closed = session.control.resolve(wanted, reason)
    if session.as_json:
        output.print_json({"resolved": closed, "resolved_before": sorted(set(wanted) - set(closed))})
    else:
        click.echo(f"{len(closed)} resolved" + (f", {len(wanted) - len(closed)} were before" if len(closed) < len(wanted) else ""))
    return exits.OK


def _to_resolve(session: Session, ids: tuple[int, ...], given: dict[str, Any], limit: int) -> list[ExceptionView]:
    """The exceptions that are named by number, or those that fit; it is said when there are more."""
    if ids:
        from suture.store import look

        return session.control.look(look.exceptions_by_id, ids)
    found = _exceptions(session, _filter(session, limit=limit + 1, **given))
    if len(found) > limit:
        click.echo(f"more than {limit} fit: these are the newest; run it again for the rest", err=True)
    return found[:limit]


def _preview(session: Session, found: list[ExceptionView]) -> None:
    """What would be closed: each as far as they can be looked over, and how many of what."""
    if session.as_json:
        output.print_json(found)
        return
    output.print_table(HEADERS, [_row(session, each) for each in found[:MOST_SHOWN]], empty="nothing fits")
    if len(found) > MOST_SHOWN:
        click.echo(f"... and {len(found) - MOST_SHOWN} more")
    kinds = Counter(f"{e.channel} {e.stage} {e.code}" for e in found if not e.resolved_at_us)
    for kind, count in kinds.most_common(KINDS_SHOWN):
        output.say(f"{count} of {kind}")
    left = sum(bool(e.delivery_id) for e in found if not e.resolved_at_us)
    click.echo(f"{kinds.total()} to close" + (f"; {left} of them are of deliveries, which stay held or dead" if left else ""))
