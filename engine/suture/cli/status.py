"""How a site is doing: status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from suture.cli import exits, output, times
from suture.cli.options import moment, site_options
from suture.cli.session import Session
from suture.model import states

if TYPE_CHECKING:
    from suture.store.summary import ChannelStatus, DestinationStatus, Status


@click.command()
@site_options
@click.option("--since", help=f"Count finished work since then: {times.EXAMPLES}.", metavar="TIME")
@click.option("--all", "everything", is_flag=True, help="Count finished work from the beginning (slow on a large store).")
def status(session: Session, since: str | None, everything: bool) -> int:
    """Show how the engine, its channels and their destinations are doing; exit 4 when the engine is not running.

    What waits is counted whole; what is finished since a day ago, or less when that was much.

    \b
    Examples:
      suture status --site mysite
      suture status --since today --json
    """
    found = session.control.status(moment(session, since, "--since"), everything)
    if session.as_json:
        output.print_json({**output.plain(found), "channels": [_channel_json(each) for each in found.channels.values()]})
    else:
        _show(session, found)
    return exits.OK if found.running else exits.NO_ANSWER


def _channel_json(channel: ChannelStatus) -> dict[str, Any]:
    return {**output.plain(channel), "destinations": [output.plain(each) for each in channel.destinations.values()]}


def _show(session: Session, found: Status) -> None:
    click.echo(engine_line(session, found))
    for line in _store_lines(found.engine):
        output.say(line)
    click.echo(f"finished work is counted since {session.time(found.since_us)}\n" if found.since_us else "")
    show_channels(session, list(found.channels.values()), found.running)
    rows = [(channel, each) for channel in found.channels.values() for each in channel.destinations.values()]
    if rows:
        click.echo()
        show_destinations(session, rows)


def engine_line(session: Session, found: Status) -> str:
    """What there is to say about the engine, in one line."""
    facts = found.engine
    if found.running:
        began = facts.get("started_at_us", "")
        since = f" since {session.time(int(began))}" if began.isdigit() else ""
        return f"engine running{since}: version {facts.get('version', '?')}, pid {facts.get('pid', '?')}"
    if found.heartbeat_us:
        return f"engine NOT RUNNING; last seen {session.time(found.heartbeat_us)} ({session.ago(found.heartbeat_us)} ago)"
    return "engine NOT RUNNING; it has never run on this database"


def _store_lines(facts: dict[str, str]) -> Iterator[str]:
    """What the engine that runs, or ran last, said of its database, and what is wrong with that."""
    if facts.get("store"):
        yield f"store: {facts['store']}"
    if facts.get("store_damage"):
        yield f"store DAMAGED, nothing is acknowledged: {facts['store_damage']}"
    for warning in filter(None, facts.get("store_warnings", "").splitlines()):
        yield f"store: {warning}"


def show_channels(session: Session, channels: list[ChannelStatus], running: bool) -> None:
    """A line a channel."""
    headers = ["channel", "state", *states.MESSAGE_STATES, "exceptions", "last message"]
    rows = []
    for each in channels:
        counts = [each.messages.get(state, 0) for state in states.MESSAGE_STATES]
        last = f"{session.ago(each.last_received_us)} ago" if each.last_received_us else ""
        rows.append([each.channel, _channel_state(each, running), *counts, each.exceptions, last])
    output.print_table(headers, rows, empty="no channels")
    for each in channels:
        if each.reason:
            output.say(f"{each.channel}: {each.reason}")


def _channel_state(channel: ChannelStatus, running: bool) -> str:
    if not channel.actual:
        return "never run"
    actual = channel.actual if running else "not running"
    differs = channel.desired and channel.desired != channel.actual
    return f"{actual} (wanted: {channel.desired})" if differs or (not running and channel.desired == "stopped") else actual


def show_destinations(session: Session, rows: list[tuple[ChannelStatus, DestinationStatus]]) -> None:
    """A line a destination, and what is wrong with those that fail."""
    headers = ["destination", "queued", "retrying", "held", "dead", "accepted", "posted", "oldest waits", "last accepted", "peer"]
    output.print_table(headers, [_destination(session, channel, each) for channel, each in rows])
    for channel, each in rows:
        for line in _trouble(session, each):
            output.say(f"{channel.channel} {each.destination}: {line}")


def _destination(session: Session, channel: ChannelStatus, each: DestinationStatus) -> list[Any]:
    count = each.deliveries.get
    queued = count(states.QUEUED, 0) + count(states.IN_FLIGHT, 0)
    finished = [count(state, 0) for state in (states.RETRYING, states.HELD, states.DEAD, states.ACCEPTED, states.POSTED)]
    accepted = f"{session.ago(each.last_accepted_us)} ago" if each.last_accepted_us else ""
    return [f"{channel.channel} {each.destination}", queued, *finished, session.ago(each.oldest_waiting_us), accepted, each.state]


def _trouble(session: Session, each: DestinationStatus) -> Iterator[str]:
    if each.state and each.state != "ok":
        next_try = f"; next try {session.time(each.next_try_us)}" if each.next_try_us else ""
        yield f"{each.state} since {session.time(each.since_us)}: {each.reason or 'no reason known'}{next_try}"
    other = {state: n for state, n in each.deliveries.items() if state in (states.REFUSED, states.SKIPPED)}
    if other:
        yield ", ".join(f"{n} {state}" for state, n in other.items())
