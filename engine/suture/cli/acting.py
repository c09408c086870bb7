"""Verbs that change something: the preview, the question, and what the engine answered."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from suture.cli import exits, output
from suture.cli.session import Session

if TYPE_CHECKING:
    from suture.model.verbs import Reprocessed, Sent
    from suture.model.views import Answer, Item

SILENT = "silent"
"""As in store/standing.py, which is not loaded for this."""
MOST_SHOWN = 40
MOST_IDS = 10_000
"""As in control.py, which is not loaded for this."""


def show_preview(session: Session, items: Sequence[Item]) -> None:
    """What would go out, what would not, and what would be doubled."""
    if session.as_json:
        output.print_json(items)
        return
    headers = ["message", "delivery", "destination", "state", "would", "why"]
    rows = [[i.message_id, i.delivery_id, i.destination, i.state, i.action, i.why] for i in items[:MOST_SHOWN]]
    output.print_table(headers, rows, empty="nothing fits")
    if len(items) > MOST_SHOWN:
        click.echo(f"... and {len(items) - MOST_SHOWN} more")
    click.echo(summary(items))


def summary(items: Sequence[Item]) -> str:
    """The preview in one line."""
    going = [item for item in items if item.action == "send"]
    doubled = sum(len(item.doubles) for item in going)
    text = f"{len(going)} to go, {len(items) - len(going)} skipped"
    return f"{text}; {doubled} would be DOUBLED at their destination" if doubled else text


def confirm(question: str, yes: bool) -> None:
    """Ask before going on. Raises Abort for a no, and UsageError where nobody can answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here; add --yes")
    click.confirm(question, abort=True)


def go_on(session: Session, items: Sequence[Item], going: int, question: str, yes: bool) -> bool:
    """Show the preview and ask, unless --yes says that nobody is to be asked; whether anything is to be done."""
    if not going:
        if session.as_json:
            output.print_json(items)
        else:
            show_preview(session, items)
        click.echo("suture: nothing to do", err=True)
        return False
    if not yes:
        show_preview(session, items)
        confirm(question, yes)
    elif not session.as_json:
        click.echo(summary(items))
    return True


def report(session: Session, answers: Sequence[Answer], done: str) -> int:
    """Print what the engine answered; returns the exit code. done: the sentence when all went well and it said no more."""
    if session.as_json:
        output.print_json(list(answers))
    else:
        for text in dict.fromkeys(_text(answer, done) for answer in answers):
            click.echo(text, err=not all(answer.ok for answer in answers))
    if not all(answer.done for answer in answers):
        return exits.NO_ANSWER
    return exits.OK if all(answer.ok for answer in answers) and not _only_skipped(answers) else exits.FAILED


def _only_skipped(answers: Sequence[Answer]) -> bool:
    from suture.model.verbs import Reprocessed, Sent

    results = [answer.result for answer in answers if isinstance(answer.result, Sent | Reprocessed)]
    return any(r.skipped for r in results) and not any(r.sent if isinstance(r, Sent) else r.reprocessed for r in results)


def _text(answer: Answer, done: str) -> str:
    if answer.done:
        return _result(answer.result, done) if answer.ok else f"suture: {_result(answer.result, 'the engine refused')}"
    kept = f"it is asked, and will obey when it can (command {answer.command_id})"
    if answer.running:
        return f"suture: not waited for any longer: the engine is {answer.state}, and has not answered; {kept}"
    if answer.state == SILENT:
        return f"suture: an engine holds the store and gives no sign of life (`suture status` says which); {kept}"
    return f"the engine is not running; it will obey when it starts (command {answer.command_id})"


def _result(result: Any, otherwise: str) -> str:
    from suture.model.verbs import ChannelIs, ChannelStopped, Reprocessed, Sent

    if isinstance(result, ChannelIs | ChannelStopped):
        unanswered = result.unanswered if isinstance(result, ChannelStopped) else {}
        waited = ", ".join(f"{count} to {name}" for name, count in unanswered.items())
        return f"channel {result.channel} is {result.state}" + (f"; still unanswered: {waited}" if waited else "")
    if isinstance(result, Sent):
        return "\n".join(_sent(result)) or otherwise
    if isinstance(result, Reprocessed):
        return "\n".join(_reprocessed(result)) or otherwise
    return result if isinstance(result, str) and result else otherwise


def _sent(result: Sent) -> Iterator[str]:
    for each in result.sent:
        again = "" if each.delivery == each.original else f", again for {each.original}"
        yield f"delivery {each.delivery} goes to {each.destination}{again}"
    for left in result.skipped:
        yield f"skipped delivery {left.delivery}: {left.reason}"


def _reprocessed(result: Reprocessed) -> Iterator[str]:
    if result.reprocessed:
        yield f"reprocessed: {', '.join(map(str, result.reprocessed))}"
    for left in result.skipped:
        yield f"skipped message {left.message}: {left.reason}"
