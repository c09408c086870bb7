"""The books of a channel, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from suture.cli import output
from suture.model import states

if TYPE_CHECKING:
    from suture.model.views import Balance

MOST_SHOWN = 10
"""Messages that are named."""


def show(books: Balance) -> None:
    """Every input accounted for, or what is missing."""
    parts = " + ".join(f"{books.messages.get(state, 0)} {state}" for state in states.MESSAGE_STATES)
    click.echo(f"\nmessages    {books.received} = {parts}")
    for kind, counts in books.events.items():
        click.echo(f"events      {kind}: {_sum(counts)}")
    for destination, counts in books.deliveries.items():
        click.echo(f"deliveries  {destination}: {_sum(counts)}")
    for code, counts in books.exceptions.items():
        click.echo(f"exceptions  {code}: {_sum(counts)}")
    for destination, one in books.doubled.items():
        numbers = ", ".join(map(str, one.messages[:MOST_SHOWN])) + (", ..." if len(one.messages) > MOST_SHOWN else "")
        click.echo(f"doubled     {destination}: {one.deliveries} deliveries held what it had taken before (messages {numbers})")
    if books.doubled:
        click.echo("            somebody insisted on sending again; `suture audit list` says who, and why")
    if books.unsettled:
        click.echo(f"the engine is still at {books.unsettled} messages and deliveries")
    output.print_facts(("WRONG", sentence) for sentence in books.wrong)
    click.echo("the books do NOT balance" if books.wrong else "the books balance")


def _sum(counts: dict[str, int]) -> str:
    return f"{sum(counts.values())} = {' + '.join(f'{count} {state}' for state, count in sorted(counts.items()))}"
