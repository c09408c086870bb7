"""How a site is doing: status."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from suture.cli import exits, output, times
from suture.cli.options import Number, moment, site_options
from suture.cli.page import Page
from suture.cli.session import Session
from suture.model import states
from suture.model.errors import StoreError

if TYPE_CHECKING:
    from suture.model.views import ChannelStatus, DestinationStatus, Status


WITHIN_S = 1.4
"""Of two seconds: the rest is for what of this program is loaded before."""
LEAST_S = 0.5
"""What a store has of it, however long the machine takes to load the rest."""
BEATS_US = 2_000_000
"""The engine's heart beats once a second."""
UNKNOWN, SILENT = "unknown", "silent"

Said = dict[str, Any]
"""What the engine says on its page."""


@click.command()
@site_options
@click.option("--since", help=f"Count finished work since then: {times.EXAMPLES}.", metavar="TIME")
@click.option("--all", "everything", is_flag=True, help="Count finished work from the beginning (slow on a large store).")
@click.option(
    "--timeout",
    "within_s",
    type=Number(0.1, 86_400),
    default=WITHIN_S,
    show_default=True,
    help="Seconds that store and engine may take to answer; what cannot be told by then is said.",
)
def status(session: Session, since: str | None, everything: bool, within_s: float) -> int:
    """Show how the engine, its channels and their destinations are doing, from what can be known now.

    What waits is counted whole; what is finished since a day ago, or less when that was much. Exit 0: the engine takes
    messages; 1: it runs and takes none (it says why); 4: it does not run, or that cannot be known.

    \b
    Examples:
      suture status --site mysite
      suture status --since today --json
    """
    found, said = _ask(session, moment(session, since, "--since"), everything, within_s)
    if session.as_json:
        channels = [_channel_json(each) for each in found.channels.values()]
        output.print_json({**output.plain(found), "channels": channels, "health": said and _health(said)})
    else:
        _show(session, found, said)
    return _exit_code(found, said)


def _ask(session: Session, since_us: int | None, everything: bool, within_s: float) -> tuple[Status, Said | None]:
    """The store's answer and the engine's own, asked together, each as far as it comes in time."""
    began_s = time.monotonic()
    page = Page(*session.page, within_s)
    from suture.model.views import Status
    from suture.store.engine import fingerprint

    store = ""
    session.answer_s = within_s = max(LEAST_S, within_s - (time.monotonic() - began_s))
    try:
        store = fingerprint(session.engine())
        found = session.control.status(since_us, everything, within_s)
    except StoreError as error:
        found = Status(False, UNKNOWN, {}, None, None, {}, missing=[f"the store: {error}"])
    said = page.answer(store) if store else None
    if said is not None:
        found.running, found.state = True, UNKNOWN if found.state == UNKNOWN else found.state
    elif page.place and (found.running or found.state in (UNKNOWN, SILENT)):
        found.missing.append(f"the engine's own page at {page.place} does not answer, or is another's")
        if found.running and not _beats(found, session.now_us):
            found.running, found.state = False, SILENT
    return found, said


def _beats(found: Status, now_us: int) -> bool:
    """Whether its last heartbeat is so young that an engine whose page is silent may only be busy."""
    return found.heartbeat_us is not None and 0 <= now_us - found.heartbeat_us < BEATS_US


def _health(said: Said) -> dict[str, Any]:
    return {"state": str(said.get("state", UNKNOWN)), "reasons": list(said.get("reasons") or ())}


def _exit_code(found: Status, said: Said | None) -> int:
    if not found.running or found.state == UNKNOWN:
        return exits.NO_ANSWER
    takes = found.state == "running" if said is None else _health(said)["state"] in ("ready", "degraded")
    return exits.OK if takes else exits.FAILED


def _channel_json(channel: ChannelStatus) -> dict[str, Any]:
    return {**output.plain(channel), "destinations": [output.plain(each) for each in channel.destinations.values()]}


def _show(session: Session, found: Status, said: Said | None) -> None:
    click.echo(engine_line(session, found, said))
    for text in _health(said)["reasons"] if said is not None else ():
        output.say(f"  {text}")
    for text in found.missing:
        output.say(f"not known: {text}", aside=True)
    for line in _store_lines(found.engine):
        output.say(line)
    click.echo(f"finished work is counted since {session.time(found.since_us)}\n" if found.since_us else "")
    if found.state == UNKNOWN:
        return
    show_channels(session, list(found.channels.values()), found)
    rows = [(channel, each) for channel in found.channels.values() for each in channel.destinations.values()]
    if rows:
        click.echo()
        show_destinations(session, rows, found.running)


def engine_line(session: Session, found: Status, said: Said | None = None) -> str:
    """What there is to say about the engine, in one line."""
    if said is not None:
        engine = said["engine"]
        who = f"pid {engine.get('pid', '?')} on {engine.get('node') or 'this machine'}, epoch {engine.get('epoch', '?')}"
    else:
        who = str(found.owner or f"pid {found.engine.get('pid', '?')}")
    if found.running:
        state = _health(said)["state"] if said is not None else "ready"
        told = "" if state == "ready" else f", {state.upper()}"
        phase = found.state if found.state in ("starting", "running", "stopping") else "running"
        began = found.engine.get("started_at_us", "")
        since = f" since {session.time(int(began))}" if began.isdigit() and phase == "running" else ""
        return f"engine {phase}{since}{told}: version {found.engine.get('version', '?')}, {who}"
    return f"engine {_absent(session, found, who)}"


def _absent(session: Session, found: Status, who: str) -> str:
    seen_us = found.heartbeat_us
    last = f"last seen {session.time(seen_us)}" + (f" ({session.ago(seen_us)} ago)" if seen_us <= session.now_us else "") if seen_us else ""
    if found.state == UNKNOWN:
        return "NOT KNOWN: neither the store nor the engine has answered"
    if found.state == SILENT:
        return f"SILENT: it holds the store ({who}) and gives no sign of life; {last}"
    if found.state == "dead":
        return f"NOT RUNNING: it ended without a goodbye ({who}); {last}"
    if last:
        return f"NOT RUNNING: it was stopped; {last}"
    if restored := found.engine.get("restored"):
        return f"NOT RUNNING; this database was restored from the backup of {restored}, and has not been run on since"
    return "NOT RUNNING; it has never run on this database"


def _store_lines(facts: dict[str, str]) -> Iterator[str]:
    """What the engine that runs, or ran last, said of its database, and what is wrong with that."""
    if facts.get("store"):
        yield f"store: {facts['store']}"
    if facts.get("store_damage"):
        yield f"store DAMAGED, nothing is acknowledged: {facts['store_damage']}"
    for warning in filter(None, facts.get("store_warnings", "").splitlines()):
        yield f"store: {warning}"


def show_channels(session: Session, channels: list[ChannelStatus], found: Status) -> None:
    """A line a channel."""
    headers = ["channel", "state", *states.MESSAGE_STATES, "exceptions", "last message"]
    rows = []
    for each in channels:
        counts = [each.messages.get(state, 0) for state in states.MESSAGE_STATES]
        last = f"{session.ago(each.last_received_us)} ago" if each.last_received_us else ""
        rows.append([each.channel, _channel_state(each, found), *counts, each.exceptions, last])
    output.print_table(headers, rows, empty="no channels")
    for each in channels:
        if each.reason:
            output.say(f"{each.channel}: {each.reason}")


def _channel_state(channel: ChannelStatus, found: Status) -> str:
    if not channel.actual:
        return "never run"
    running = found.running
    actual = channel.actual if running else "not known" if found.state == SILENT else "not running"
    differs = channel.desired and channel.desired != channel.actual
    return f"{actual} (wanted: {channel.desired})" if differs or (not running and channel.desired == "stopped") else actual


def show_destinations(session: Session, rows: list[tuple[ChannelStatus, DestinationStatus]], running: bool) -> None:
    """A line a destination, and what is wrong with those that fail."""
    headers = ["destination", "queued", "retrying", "held", "dead", "accepted", "posted", "oldest waits", "last accepted", "peer"]
    output.print_table(headers, [_destination(session, channel, each, running) for channel, each in rows])
    for channel, each in rows:
        for line in _trouble(session, each):
            output.say(f"{channel.channel} {each.destination}: {line}")


def _destination(session: Session, channel: ChannelStatus, each: DestinationStatus, running: bool) -> list[Any]:
    count = each.deliveries.get
    queued = count(states.QUEUED, 0) + count(states.IN_FLIGHT, 0)
    finished = [count(state, 0) for state in (states.RETRYING, states.HELD, states.DEAD, states.ACCEPTED, states.POSTED)]
    accepted = f"{session.ago(each.last_accepted_us)} ago" if each.last_accepted_us else ""
    peer = each.state if running else "not known"
    return [f"{channel.channel} {each.destination}", queued, *finished, session.ago(each.oldest_waiting_us), accepted, peer]


def _trouble(session: Session, each: DestinationStatus) -> Iterator[str]:
    if each.state and each.state != "ok":
        due = each.next_try_us is not None and each.next_try_us <= session.now_us
        next_try = "; the next try is due" if due else f"; next try {session.time(each.next_try_us)}" if each.next_try_us else ""
        yield f"{each.state} since {session.time(each.since_us)}: {each.reason or 'no reason known'}{next_try}"
    if each.refusal is not None:
        one = each.refusal
        yield f"not taken: delivery {one.delivery_id} at {session.time(one.at_us)}, {one.code}: {one.reason}"
    other = {state: n for state, n in each.deliveries.items() if state in (states.REFUSED, states.SKIPPED)}
    if other:
        yield ", ".join(f"{n} {state}" for state, n in other.items())
