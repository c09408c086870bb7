"""Options that many commands have."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from suture.cli import times
from suture.cli.session import Session
from suture.model import states

Command = Callable[..., Any]

MAX_ID = (1 << 63) - 1


class _Id(click.ParamType[int]):
    """The number of a message, a delivery or an exception."""

    name = "integer"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and len(text) <= 19 and 0 < int(text) <= MAX_ID):
            self.fail(f"{text!r} is not a number as the lists show it.", parameter, context)
        return int(text)


ID = _Id()


class Number(click.FloatRange):
    """A number with a range, which `nan` is not in."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        number = float(super().convert(value, parameter, context))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", parameter, context)
        return number


def site_options(command: Command) -> Command:
    """--site, --env and --json; the command gets a Session as its first argument."""

    @click.option(
        "--site", type=click.Path(path_type=Path), envvar="SUTURE_SITE", default=Path(), help="The site's directory [SUTURE_SITE, else .]"
    )
    @click.option(
        "--env", "environment", envvar="SUTURE_ENV", help="Environment: conf/ENV.yaml over conf/base.yaml [SUTURE_ENV]", metavar="ENV"
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
    @functools.wraps(command)
    def with_session(site: Path, environment: str | None, as_json: bool, **rest: Any) -> Any:
        session = Session(site, environment or None, as_json)
        click.get_current_context().call_on_close(session.close)
        return command(session, **rest)

    return with_session


def store_options(command: Command) -> Command:
    """site_options, and --timeout: a store that does not answer is not waited for without end."""

    @site_options
    @click.option(
        "--timeout",
        "answer_s",
        type=Number(0.1, 86_400),
        default=20.0,
        show_default=True,
        envvar="SUTURE_TIMEOUT",
        help="Seconds that a look at the store may take [SUTURE_TIMEOUT].",
    )
    @functools.wraps(command)
    def with_patience(session: Session, answer_s: float, **rest: Any) -> Any:
        session.answer_s = answer_s
        return command(session, **rest)

    return with_patience


def complete_channel(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The site's channels, for the shell."""
    site = Path(context.params.get("site") or ".")
    return [name for name in Session(site).channels() if name.startswith(incomplete)]


channel_argument = click.argument("channel", shell_complete=complete_channel)
channel_option = click.option("--channel", help="Only of this channel.", shell_complete=complete_channel)
yes_option = click.option("--yes", is_flag=True, help="Do not ask whether to go on.")
reason_option = click.option("--reason", required=True, help="Why; kept in the audit.")
insist_option = click.option("--insist", is_flag=True, help="Also send what a destination has taken already: it gets it twice.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would go out, and what it would double.")
wait_option = click.option(
    "--wait", "wait_s", type=Number(0, 3600), default=10.0, show_default=True, help="Seconds to wait for the engine."
)


def limit_option(default: int, which: str = "newest", most: int = 100_000) -> Callable[[Command], Command]:
    """--limit, the most rows."""
    return click.option("--limit", type=click.IntRange(1, most), default=default, show_default=True, help=f"At most so many, the {which}.")


def page_options(command: Command) -> Command:
    """--limit and --before, to go through a long list."""
    before = click.option("--before", "before_id", type=ID, help="Only older ones than this number (the next page).", metavar="ID")
    return limit_option(50)(before(command))


def message_filters(command: Command) -> Command:
    """The options that say which messages."""
    for option in reversed(
        [
            channel_option,
            click.option("--state", type=click.Choice(states.MESSAGE_STATES), help="Only in this state."),
            click.option("--control-id", help="With this MSH-10.", metavar="ID"),
            click.option("--patient", help="Of this patient (as the mapping's `search` names it).", metavar="ID"),
            click.option("--account", help="Of this patient account.", metavar="ID"),
            click.option("--item", help="With this item.", metavar="ID"),
            click.option("--find", multiple=True, help="By a kind of value that a mapping's `search` names.", metavar="KIND=VALUE"),
            click.option("--since", help=f"Received at or after: {times.EXAMPLES}.", metavar="TIME"),
            click.option("--until", help="Received before.", metavar="TIME"),
        ]
    ):
        command = option(command)
    return command


def about_filters(command: Command) -> Command:
    """The options that say what an exception is about."""
    for option in reversed(
        [
            channel_option,
            click.option("--to", "destination", help="Only for this destination.", metavar="DESTINATION"),
            click.option("--code", help="Only with this code, such as UNKNOWN_CODE.", metavar="CODE"),
            click.option("--table", help="Only where this table lacks a code.", metavar="TABLE"),
            click.option("--value", help="Only where this code is lacking.", metavar="CODE"),
            click.option("--field", help="Only of this field (item) or place (FT1-7.1).", metavar="FIELD"),
            click.option("--message", "message_id", type=ID, help="Only of this message.", metavar="ID"),
        ]
    ):
        command = option(command)
    return command


def time_filters(made: str) -> Callable[[Command], Command]:
    """--since and --until."""

    def decorate(command: Command) -> Command:
        until = click.option("--until", help=f"{made} before.", metavar="TIME")
        return click.option("--since", help=f"{made} at or after: {times.EXAMPLES}.", metavar="TIME")(until(command))

    return decorate


def named(**given: Any) -> dict[str, Any]:
    """The filters that were written."""
    return {name: value for name, value in given.items() if value not in (None, ())}


def require_one(ids: Sequence[int], filters: dict[str, Any], noun: str, example: str) -> None:
    """What a verb is to work on is named by number or by filters. Raises UsageError when it is neither or both."""
    if ids and filters:
        raise click.UsageError(f"name {noun} by number or by filters, not by both")
    if not ids and not filters:
        raise click.UsageError(f"name {noun} by number, or by filters such as {example}")


def moment(session: Session, text: str | None, option: str) -> int | None:
    """The time an option names, in microseconds. Raises BadParameter."""
    if text is None:
        return None
    try:
        return times.parse(text, session.zone, session.now_us)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(str(error), param_hint=option) from None
