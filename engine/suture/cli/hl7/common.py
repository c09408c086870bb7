"""What the commands about HL7 v2 messages in files share: options, JSON, colour, and messages read one by one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from suture.cli import files, output
from suture.model.errors import MessageError
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.text import charsets, er7
from suture.wire.hl7v2.text.lines import BROKEN, Odd
from suture.wire.hl7v2.text.remarks import remarks


def _codec(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return charsets.canonical(value)
    except LookupError:
        raise click.BadParameter(f"{value!r} is no character set that Python knows, such as utf-8 or iso8859-1") from None


version_option = click.option(
    "--version",
    type=click.Choice(dictionary.VERSIONS),
    default=None,
    help="Read it by this version's dictionary [default: the one MSH-12 declares, else the nearest].",
)
encoding_option = click.option(
    "--encoding", default="utf-8", show_default=True, callback=_codec, help="Character set of messages whose MSH-18 names none."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
json_lines_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts: a line a message.")


def echo_json(value: Any) -> None:
    """One JSON value on a line; bytes that are not of the character set stay, as escapes."""
    text = json.dumps(value, ensure_ascii=output.only_ascii())
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value)
    click.echo(text)


def echo_json_list(items: Iterator[Any]) -> None:
    """A JSON array, an item a line, as they come."""
    first = True
    for item in items:
        click.echo("[" if first else ",")
        echo_json(item)
        first = False
    click.echo("[]" if first else "]")


def styled(text: str, **style: Any) -> str:
    """The text in colour on a terminal, plain elsewhere and where NO_COLOR is set."""
    return click.style(text, **style) if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text


def tell(odd: Odd, number: int, what: str = "") -> None:
    """Say what is odd about the lines of the message of that number, without content. what: is done about lines that are no segments."""
    where = f"message {number}: " if number > 1 else ""
    for line in odd.broken:
        click.echo(f"suture: {where}{line.place}: BAD_SEGMENT: {BROKEN}: line {line.number}, behind this segment{what}", err=True)
    for line in odd.trimmed:
        click.echo(f"suture: {where}{line.place}: blanks before the segment's name, in line {line.number}", err=True)
    for line in odd.around:
        click.echo(f"suture: {where}{line.place}: a segment around messages, in line {line.number} of this one", err=True)


def tell_remarks(message: er7.Message, number: int) -> None:
    """Say what is odd about the separators and characters of the message of that number, without content."""
    where = f"message {number}: " if number > 1 else ""
    for one in remarks(message):
        click.echo(f"suture: {where}{one.place}: {one.text}", err=True)


def parsed(file: Path, encoding: str) -> Iterator[tuple[bytes, er7.Message | None, str]]:
    """Each message: its bytes, the message or None, and why it is none."""
    for raw in files.messages(file):
        try:
            yield raw, er7.Message.parse(raw, encoding), ""
        except MessageError as error:
            yield raw, None, error.reason
