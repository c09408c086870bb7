"""Channels: list, show, start, stop, restart, reload, resync."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from suture.cli import exits, output
from suture.cli.acting import confirm, report
from suture.cli.books import show as show_books
from suture.cli.options import channel_argument, reason_option, store_options, wait_option, yes_option
from suture.cli.session import Session
from suture.cli.status import engine_line, show_channels, show_destinations
from suture.model.errors import NotFound

if TYPE_CHECKING:
    from suture.model.verbs import OfChannel


@click.group()
def channel() -> None:
    """Channels: list, show, start, stop, restart, reload, resync."""


@channel.command("list")
@store_options
def list_(session: Session) -> int:
    """List the channels, what they should do and what they do.

    \b
    Example:
      suture channel list --json
    """
    found = session.control.status()
    if session.as_json:
        output.print_json([{**output.plain(each), "destinations": list(each.destinations)} for each in found.channels.values()])
    else:
        if not found.running:
            output.say(engine_line(session, found), aside=True)
        show_channels(session, list(found.channels.values()), found)
    return exits.OK


@channel.command()
@store_options
@channel_argument
@click.option("--balance", is_flag=True, help="Also the books over the whole history (slow on a large store).")
def show(session: Session, channel: str, balance: bool) -> int:
    """Show one channel and its destinations; --balance accounts for every input and exits 1 when something is missing.

    The books also say what a destination has taken a second time, because somebody insisted on sending it again.

    \b
    Examples:
      suture channel show or-supply
      suture channel show or-supply --balance --json
    """
    from suture.store import look

    found = session.control.status()
    if channel not in found.channels:
        raise NotFound(f"there is no channel {channel!r}; there are: {', '.join(found.channels) or 'none'}")
    one = found.channels[channel]
    books = session.control.look(look.balance, channel, session.control.known) if balance else None
    if session.as_json:
        output.print_json({**output.plain(one), "destinations": list(one.destinations.values()), "balance": books})
        return exits.FAILED if books and books.wrong else exits.OK
    click.echo(f"{engine_line(session, found)}\n")
    show_channels(session, [one], found)
    click.echo()
    show_destinations(session, [(one, each) for each in one.destinations.values()], found.running)
    if books is not None:
        show_books(books)
    return exits.FAILED if books and books.wrong else exits.OK


def _act(session: Session, verb: OfChannel, reason: str, wait_s: float, done: str) -> int:
    return report(session, [session.control.ask(verb, reason, wait_s)], f"channel {verb.channel} {done}")


_reason = click.option("--reason", default="", help="Why; kept in the audit.")


@channel.command()
@store_options
@channel_argument
@_reason
@wait_option
def start(session: Session, channel: str, reason: str, wait_s: float) -> int:
    """Start a channel, and keep it started over restarts of the engine.

    \b
    Example:
      suture channel start or-supply
    """
    from suture.model.verbs import StartChannel

    return _act(session, StartChannel(channel), reason, wait_s, "is running")


@channel.command()
@store_options
@channel_argument
@_reason
@wait_option
def stop(session: Session, channel: str, reason: str, wait_s: float) -> int:
    """Stop a channel in order, and keep it stopped over restarts of the engine.

    What it has received stays in the store; senders find its port closed.

    \b
    Example:
      suture channel stop or-supply --reason "cabinet upgrade until noon"
    """
    from suture.model.verbs import StopChannel

    return _act(session, StopChannel(channel), reason, wait_s, "is stopped")


@channel.command()
@store_options
@channel_argument
@_reason
@wait_option
def restart(session: Session, channel: str, reason: str, wait_s: float) -> int:
    """Stop a channel in order and start it again.

    \b
    Example:
      suture channel restart or-supply
    """
    from suture.model.verbs import RestartChannel

    return _act(session, RestartChannel(channel), reason, wait_s, "is running")


@channel.command()
@store_options
@channel_argument
@_reason
@wait_option
def reload(session: Session, channel: str, reason: str, wait_s: float) -> int:
    """Read a channel's files again: checked first, then swapped; other channels' connections are left alone.

    \b
    Example:
      suture check && suture channel reload or-supply
    """
    from suture.model.verbs import ReloadChannel

    return _act(session, ReloadChannel(channel), reason, wait_s, "is reloaded")


@channel.command()
@store_options
@channel_argument
@click.argument("destination")
@reason_option
@yes_option
@wait_option
def resync(session: Session, channel: str, destination: str, reason: str, yes: bool, wait_s: float) -> int:
    """Let a destination with sequence numbers go on, whatever number its peer expects.

    Its peer and the engine do not agree on the next number: messages may be missing on one side. Look for them first; what
    was missed then is not noticed any more. The peer is told with MSH-13 = -1 to take any number.

    \b
    Example:
      suture channel resync adt billing --reason "billing was restored from last night's backup; 412-430 sent again"
    """
    from suture.model.verbs import Resync

    confirm(f"Go on at {destination}, though messages may be missing on one side?", yes)
    return report(session, [session.control.ask(Resync(channel, destination), reason, wait_s)], f"{destination} goes on")
