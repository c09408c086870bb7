"""Messages: list, show, trace, resend, reprocess."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from suture.cli import exits, output, tree
from suture.cli.acting import go_on, report, show_preview
from suture.cli.options import (
    ID,
    dry_run_option,
    insist_option,
    limit_option,
    message_filters,
    moment,
    named,
    page_options,
    reason_option,
    require_one,
    store_options,
    wait_option,
    yes_option,
)
from suture.cli.session import Session
from suture.model.errors import MessageError
from suture.model.search import USUAL, wrong_kind

if TYPE_CHECKING:
    from suture.model.views import DeliveryView, MessageView
    from suture.store.queries import MessageFilter

_ids = click.argument("ids", type=ID, nargs=-1, metavar="[ID]...")
_id = click.argument("message_id", type=ID, metavar="ID")


@click.group()
def message() -> None:
    """Messages: list, show, trace, resend, reprocess."""


def _filter(session: Session, since: str | None, until: str | None, **given: Any) -> MessageFilter:
    from suture.store.queries import MessageFilter

    find = [(kind, value) for kind in USUAL if (value := given.pop(kind)) is not None]
    find += map(_found_by, given.pop("find"))
    given |= {"since_us": moment(session, since, "--since"), "until_us": moment(session, until, "--until")}
    return MessageFilter(find=tuple(find), **given)


def _found_by(text: str) -> tuple[str, str]:
    kind, equals, value = text.partition("=")
    if not equals or not value:
        raise click.UsageError("--find takes KIND=VALUE, such as encounter=E-4471")
    if wrong := wrong_kind(kind):
        raise click.UsageError(f"--find: {wrong}")
    return kind, value


@message.command("list")
@store_options
@message_filters
@page_options
def list_(session: Session, **given: Any) -> int:
    """List messages, the newest first; every option narrows the search.

    \b
    Examples:
      suture message list --channel or-supply --state parked --since today
      suture message list --patient 4471001 --item IMP-4471
      suture message list --control-id CAB000123 --json
      suture message list --find encounter=E-4471
    """
    wanted = _filter(session, **given)
    found = _messages(session, wanted)
    if session.as_json:
        output.print_json(found)
        return exits.OK
    headers = ["id", "received", "channel", "type", "control id", "state", "sender", "reason"]
    rows = [[m.id, session.time(m.received_at_us), m.channel, m.type, m.control_id, m.state, m.sender, m.reason] for m in found]
    output.print_table(headers, rows, empty="no message fits")
    if len(found) == wanted.limit:
        click.echo(f"perhaps there are more: --before {found[-1].id}")
    return exits.OK


def _messages(session: Session, wanted: MessageFilter) -> list[MessageView]:
    from suture.store import look

    return session.control.look_inside(look.messages, wanted, session.control.known)


@message.command()
@store_options
@_id
@click.option("--raw", "view", flag_value="raw", help="The bytes as received (exact when they go to a file or a pipe).")
@click.option("--tree", "view", flag_value="tree", help="Segments and fields with the paths that mappings use.")
@click.option("--events", "view", flag_value="events", help="The canonical events.")
@click.option("--deliveries", "view", flag_value="deliveries", help="What went, or goes, where.")
def show(session: Session, message_id: int, view: str | None) -> int:
    """Show one message: what the engine says of it, or its content. A look at content is written to the audit.

    \b
    Examples:
      suture message show 123
      suture message show 123 --tree
      suture message show 123 --raw > message.hl7
    """
    _VIEWS[view or "facts"](session, message_id)
    return exits.OK


def _facts(session: Session, message_id: int) -> None:
    from suture.store import look

    found = session.control.look(look.message, message_id)
    if session.as_json:
        output.print_json(found)
        return
    facts = found.public().items()
    output.print_facts((_named(name), session.time(value, True) if name.endswith("_us") else value) for name, value in facts)
    click.echo("\ncontent: --raw, --tree, --events; what became of it: --deliveries, suture message trace")


def _named(name: str) -> str:
    return name.removesuffix("_at_us").removesuffix("_us").replace("_", " ")


def _bytes(session: Session, message_id: int) -> bytes:
    from suture.store import look

    return session.control.look_inside(look.raw, message_id)


def _raw(session: Session, message_id: int) -> None:
    raw = _bytes(session, message_id)
    if session.as_json:
        text = raw.decode("utf-8", "replace")
        output.print_json({"id": message_id, "raw": text, "raw_base64": base64.b64encode(raw).decode()})
    elif sys.stdout.isatty():
        output.say(tree.readable(raw))
    else:
        sys.stdout.buffer.write(raw)


def _tree(session: Session, message_id: int) -> None:
    raw = _bytes(session, message_id)
    if session.as_json:
        try:
            found = [{"segment": name, "values": dict(leaves)} for name, leaves in tree.segments(raw)]
        except MessageError as error:
            found = [{"error": error.reason, "raw_base64": base64.b64encode(raw).decode()}]
        output.print_json(found)
        return
    for line in tree.lines(raw):
        output.say(line)


def _events(session: Session, message_id: int) -> None:
    from suture.store import look

    found = [{**row.public(), "body": json.loads(row.body or b"")} for row in session.control.look_inside(look.events, message_id)]
    if session.as_json:
        output.print_json(found)
        return
    for row in found:
        output.say(f"{row['number']}  {row['type']}  {row['state']}  line {row['line']}  id {row['event_id']}")
        output.print_facts((f"   {name}", value) for name, value in row["body"].items())
    if not found:
        click.echo("no events")


def _deliveries(session: Session, message_id: int) -> None:
    from suture.store import look

    session.control.look(look.message, message_id)
    found = session.control.look(look.deliveries, look.DeliveryFilter(message_id=message_id, limit=1000))[::-1]
    if session.as_json:
        output.print_json(found)
    else:
        show_deliveries(session, found, "no deliveries")


_VIEWS: dict[str, Callable[[Session, int], None]] = {
    "facts": _facts,
    "raw": _raw,
    "tree": _tree,
    "events": _events,
    "deliveries": _deliveries,
}


def show_deliveries(session: Session, found: list[DeliveryView], empty: str) -> None:
    """Deliveries, a line each."""
    headers = ["id", "message", "channel", "destination", "state", "attempts", "made", "accepted", "document", "reason"]
    rows = []
    for d in found:
        times = [session.time(d.created_at_us), session.time(d.accepted_at_us)]
        rows.append([d.id, d.message_id, d.channel, d.destination, d.state, d.attempts, *times, d.document, d.reason])
    output.print_table(headers, rows, empty)


@message.command()
@store_options
@_id
def trace(session: Session, message_id: int) -> int:
    """Show the whole journey of a message: arrival, processing, events, every delivery and attempt, with times.

    \b
    Example:
      suture message trace 123
    """
    from suture.store import look

    found = session.control.look(look.journey, message_id)
    if session.as_json:
        output.print_json(found)
        return exits.OK
    row = found.message
    output.say(f"message {row.id} of channel {row.channel}, control id {row.control_id or '(none)'}, {row.state}\n")
    began_us = row.received_at_us
    steps = [[session.time(s.at_us, True), _since(s.at_us - began_us), s.what, s.text] for s in found.steps]
    output.print_table(["time", "after", "what", ""], steps)
    return exits.OK


def _since(duration_us: int) -> str:
    return f"{duration_us / 1000:.1f} ms" if duration_us < 10_000_000 else f"{duration_us / 1e6:.0f} s"


def _chosen(session: Session, ids: tuple[int, ...], given: dict[str, Any]) -> list[int]:
    """The messages named by number, or else by filters. Raises UsageError when neither is there."""
    require_one(ids, {name: value for name, value in named(**given).items() if name != "limit"}, "messages", "--state parked --since today")
    if ids:
        return list(ids)
    return [one.id for one in _messages(session, _filter(session, **given))]


@message.command()
@store_options
@_ids
@message_filters
@limit_option(1000)
@click.option("--to", "destinations", multiple=True, help="Only to this destination (may be given more than once).", metavar="DESTINATION")
@reason_option
@insist_option
@dry_run_option
@yes_option
@wait_option
def resend(
    session: Session,
    ids: tuple[int, ...],
    destinations: tuple[str, ...],
    reason: str,
    insist: bool,
    dry_run: bool,
    yes: bool,
    wait_s: float,
    **given: Any,
) -> int:
    """Send the same payloads again, under their idempotency keys; what was accepted is skipped unless you insist.

    \b
    Examples:
      suture message resend 123 --dry-run --reason "ERP lost its morning"
      suture message resend --since 2h --until 1h --to erp --reason "ERP lost its morning" --yes
    """
    from suture.model.verbs import Resend
    from suture.store import look

    items = session.control.look(look.resend, _chosen(session, ids, given), [], destinations, insist)
    if dry_run:
        show_preview(session, items)
        return exits.OK
    going = [item.delivery_id for item in items if item.action == "send" and item.delivery_id is not None]
    if not go_on(session, items, len(going), "Send again?", yes):
        return exits.FAILED
    return report(session, session.control.ask_for(Resend(going, reason, insist), wait_s), f"{len(going)} sent again")


@message.command()
@store_options
@_ids
@message_filters
@limit_option(1000)
@reason_option
@insist_option
@dry_run_option
@yes_option
@wait_option
def reprocess(
    session: Session, ids: tuple[int, ...], reason: str, insist: bool, dry_run: bool, yes: bool, wait_s: float, **given: Any
) -> int:
    """Put raw messages through today's mapping again; what destinations have is not sent again unless you insist.

    \b
    Examples:
      suture message reprocess 123 --reason "item ZZ-999 was added"
      suture message reprocess --channel or-supply --state parked --since 7d --reason "item master fixed" --yes
    """
    from suture.model.verbs import Reprocess
    from suture.store import look

    items = session.control.look(look.reprocess, _chosen(session, ids, given), insist)
    if dry_run:
        show_preview(session, items)
        return exits.OK
    going = [item.message_id for item in items if item.action == "send"]
    if not go_on(session, items, len(going), "Reprocess?", yes):
        return exits.FAILED
    return report(session, session.control.ask_for(Reprocess(going, reason, insist), wait_s), f"{len(going)} reprocessed")
