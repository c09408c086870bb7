"""Exceptions, which wait for a person: list, show, resolve."""

from __future__ import annotations

from typing import Any

import click

from suture.cli import exits, output
from suture.cli.acting import confirm
from suture.cli.options import ID, channel_option, page_options, reason_option, store_options, yes_option
from suture.cli.session import Session
from suture.model import states


@click.group()
def exception() -> None:
    """Exceptions, which wait for a person: list, show, resolve."""


@exception.command("list")
@store_options
@channel_option
@click.option(
    "--stage", type=click.Choice(["parse", "batch", "validate", "map", "render", "deliver", "restore"]), help="Only of this stage."
)
@click.option("--code", help="Only with this code, such as UNKNOWN_CODE.")
@click.option("--message", "message_id", type=ID, help="Only of this message.", metavar="ID")
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
    """
    from suture.store.queries import ExceptionFilter

    wanted = ExceptionFilter(open={"open": True, "resolved": False, "all": None}[which], **given)
    found = session.control.exceptions(wanted)
    if session.as_json:
        output.print_json(found)
        return exits.OK
    headers = ["id", "opened", "message", "delivery", "channel", "stage", "code", "line", "place", "value", "reason"]
    rows = [_row(session, each) for each in found]
    if which != "open":
        headers.append("resolved")
        for row, each in zip(rows, found, strict=True):
            row.append(f"{session.time(each['resolved_at_us'])} {each['resolution']}" if each["resolved_at_us"] else "")
    output.print_table(headers, rows, empty="no exceptions")
    if len(found) == wanted.limit:
        click.echo(f"perhaps there are more: --before {found[-1]['id']}")
    return exits.OK


def _row(session: Session, e: dict[str, Any]) -> list[Any]:
    place = " ".join(part for part in (e["path"], e["field"]) if part)
    value = f"{e['value']} ({e['table_name']})" if e["table_name"] else e["value"]
    opened = session.time(e["opened_at_us"])
    return [
        e["id"],
        opened,
        e["message_id"],
        e["delivery_id"],
        e["channel"],
        e["stage"],
        e["code"],
        e["line"] or "",
        place,
        value,
        e["reason"],
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
    row = session.control.exception(exception_id)
    if session.as_json:
        output.print_json(row)
        return exits.OK
    facts = (
        (name.removesuffix("_at_us").replace("_", " "), session.time(v, True) if name.endswith("_us") else v) for name, v in row.items()
    )
    output.print_facts(facts)
    if not row["resolved_at_us"]:
        output.say(f"\n{_remedy(row)}")
    return exits.OK


def _remedy(row: dict[str, Any]) -> str:
    number = row["message_id"]
    if row["stage"] == "restore":
        if not row["delivery_id"]:
            return f"ask the partners whether they have it; then: suture message reprocess {number} --reason ... (or resolve it)"
        ask = f"ask {row['field']} whether it has it"
        release = f"suture delivery release {row['delivery_id']} --reason ..."
        return f"{ask}; if not: {release}; if so: suture exception resolve {row['id']} --reason ..."
    if row["stage"] == "render":
        again = f"suture channel reload {row['channel']} && suture delivery release {row['delivery_id']} --reason ..."
        return f"look: suture message show {number} --events; {_fix(row)}; then: {again}"
    if row["stage"] == states.BATCH_STAGE:
        ask = "compare what came with what the sender meant to send, and have it send what is missing"
        return f"look: suture message show {number}; {ask}; then: suture exception resolve {row['id']} --reason ..."
    if row["delivery_id"]:
        return f"look: suture delivery show {row['delivery_id']}; then: suture message resend {number} --to {row['field']} --reason ..."
    look = f"look: suture message show {number} --tree"
    if row["stage"] == "parse":
        return f"{look}; the sender has to correct it and send it anew; then: suture exception resolve {row['id']} --reason ..."
    fix = _fix(row)
    if row["stage"] == "validate":
        fix = "have it corrected at its source, or change the profile or the `validate` of the channel"
    return f"{look}; {fix}; then: suture channel reload {row['channel']} && suture message reprocess {number} --reason ..."


def _fix(row: dict[str, Any]) -> str:
    return f"add {row['value']!r} to the table {row['table_name']}" if row["table_name"] else "correct the mapping or the table"


@exception.command()
@store_options
@click.argument("ids", type=ID, nargs=-1, required=True, metavar="ID...")
@reason_option
@yes_option
def resolve(session: Session, ids: tuple[int, ...], reason: str, yes: bool) -> int:
    """Close exceptions that need nothing more; the message or delivery stays as it is.

    \b
    Example:
      suture exception resolve 7 8 --reason "test message of the vendor"
    """
    confirm(f"Close {len(ids)} exceptions?", yes)
    closed = session.control.resolve(ids, reason)
    if session.as_json:
        output.print_json({"resolved": closed, "resolved_before": sorted(set(ids) - set(closed))})
    else:
        click.echo(f"{len(closed)} resolved" + (f", {len(set(ids)) - len(closed)} were before" if len(closed) < len(set(ids)) else ""))
    return exits.OK
