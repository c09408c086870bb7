"""HL7 v2 messages in files, for people: show, diff, get."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from suture.cli import exits, files, output
from suture.cli.hl7 import make, validate
from suture.cli.hl7.common import echo_json_list, encoding_option, json_option, parsed, styled, tell, tell_remarks, version_option
from suture.model.errors import MessageError
from suture.model.value import changed
from suture.wire.hl7v2.text import cut, er7, quick
from suture.wire.hl7v2.tools import diff, render, xml


@click.group()
def hl7() -> None:
    """HL7 v2 messages in files: show, diff, get, validate, anonymize, generate.

    A FILE may hold several messages, framed for MLLP or not, in a batch or not, with any line ends; - is the standard input.
    """


for command in (validate.validate, make.anonymize, make.generate):
    hl7.add_command(command)


@hl7.command()
@files.file_argument()
@click.option("--hex", "view", flag_value="hex", help="The bytes: offset, hex, ASCII, control characters by name.")
@click.option("--json", "view", flag_value="json", help="Print JSON, for scripts: an array of messages, nested down to subcomponents.")
@click.option("--xml", "view", flag_value="xml", help="HL7's XML encoding (urn:hl7-org:v2xml).")
@version_option
@encoding_option
def show(file: Path, view: str | None, version: str | None, encoding: str) -> int:
    """Show the messages of a file: every value with its path and its name in the standard.

    Escapes are resolved, and what cannot be seen is made visible: control characters as pictures (␊), others by number
    (<U+00A0>), outer blanks as ␠, bytes that are not of the character set as <xE9>. Null, which asks the receiver to delete, is
    marked; empty values are left out. Exit 1 when something in the file is no HL7 message, or a line of one is no segment.

    \b
    Examples:
      suture hl7 show channels/or-supply/samples/implant.hl7
      suture hl7 show day.hl7 --hex | less
      suture message show 123 --raw | suture hl7 show - --xml
    """
    return {"hex": _hex, "json": _json, "xml": _xml}.get(view or "", _tree)(file, version or "", encoding)


def _tree(file: Path, version: str, encoding: str) -> int:
    code = exits.OK
    for number, (raw, message, reason) in enumerate(parsed(file, encoding), 1):
        if number > 1:
            click.echo()
        if message is None:
            code = exits.FAILED
            click.echo(styled(f"not an HL7 message ({reason}):", fg="red"))
            click.echo("\n".join(render.visible(line) for line in raw.decode("utf-8", "surrogateescape").splitlines()))
        else:
            _print_tree(list(render.tree(message, version)))
            code = exits.FAILED if message.odd.broken else code
    return code


def _print_tree(lines: list[render.Line]) -> None:
    width = min(max((len(line.place) for line in lines if line.value is not None), default=0), 24)
    for line in lines:
        if line.value is None:
            click.echo(f"{styled(line.place, bold=True)}  {line.name}".rstrip())
            continue
        value = styled('""  (null: delete the value)', fg="yellow") if line.null else styled(line.value, fg="green")
        name = f"{line.name} : " if line.name else ": "
        click.echo(f"  {styled(f'{line.place:<{width}}', fg='cyan')}  {name}{value}")


def _hex(file: Path, _version: str, _encoding: str) -> int:
    offset = 0
    with files.opened(file) as stream:
        for unit in cut.units(files.chunks(stream), files.LIMIT_BYTES):
            for line in render.hex_lines(unit, offset):
                click.echo(line)
            offset += len(unit)
    if not offset:
        raise click.BadParameter(f"{file}: it is empty", param_hint="FILE")
    return exits.OK


def _json(file: Path, version: str, encoding: str) -> int:
    bad = []

    def items() -> Iterator[Any]:
        for raw, message, reason in parsed(file, encoding):
            if message is None or message.odd.broken:
                bad.append(reason)
            if message is None:
                yield {"error": reason, "raw_base64": base64.b64encode(raw).decode()}
            else:
                yield render.nested(message, version)

    echo_json_list(items())
    return exits.FAILED if bad else exits.OK


def _xml(file: Path, version: str, encoding: str) -> int:
    """One message is the document; several stand in an element MESSAGES."""
    code = exits.OK
    found = parsed(file, encoding)
    first, second = next(found), next(found, None)
    click.echo(xml.DECLARATION)
    if second:
        click.echo("<MESSAGES>")
    for raw, message, _reason in itertools.chain([first], [second] if second else [], found):
        if message is None or message.odd.broken:
            code = exits.FAILED
        if message is None:
            text = xml.text_of(raw.decode("utf-8", "surrogateescape"), xml.AS_IT_IS)
            click.echo(f'<{xml.UNKNOWN} xmlns="{xml.NAMESPACE}">{text}</{xml.UNKNOWN}>')
        else:
            for line in xml.lines(message, version):
                click.echo(line)
    if second:
        click.echo("</MESSAGES>")
    return code


@hl7.command("diff")
@files.file_argument("a")
@files.file_argument("b")
@click.option(
    "--ignore",
    "ignored",
    multiple=True,
    metavar="PLACE",
    help="Leave out a segment, field or component, such as EVN, PID-5 or PID-5.2 (may be given more than once).",
)
@version_option
@encoding_option
@json_option
def diff_(a: Path, b: Path, ignored: tuple[str, ...], version: str | None, encoding: str, as_json: bool) -> int:
    """Compare two files of messages by segment and field: - is what A has, + what B has.

    MSH-7 and MSH-10 do not count, nor what --ignore names, nor separators, line ends and empty values at the end. Segments
    that repeat are aligned by their content and by what identifies them; several messages are compared in their order.
    Exit 0 when they are the same, 1 when they differ.

    \b
    Examples:
      suture hl7 diff before.hl7 after.hl7
      suture hl7 diff before.hl7 after.hl7 --ignore EVN --ignore PID-3.4 --json
    """
    try:
        rules = [diff.Ignored.read(each) for each in ignored]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--ignore") from None
    if str(a) == str(b) == "-":
        raise click.UsageError("only one of the files can be the standard input")
    found = _differences(a, b, rules, version or "", encoding)
    first = next(found, None)
    every = itertools.chain([first] if first else [], found)
    if as_json:
        echo_json_list(_difference_item(number, each) for number, each in every)
    else:
        for number, each in every:
            _print_difference(number, each)
    return exits.FAILED if first else exits.OK


def _differences(a: Path, b: Path, rules: list[diff.Ignored], version: str, encoding: str) -> Iterator[tuple[int, diff.Difference]]:
    pairs = itertools.zip_longest(parsed(a, encoding), parsed(b, encoding))
    for number, (one, other) in enumerate(pairs, 1):
        if one and other and one[1] and other[1]:
            yield from ((number, each) for each in diff.compare(one[1], other[1], rules, version))
        elif (one and one[0]) != (other and other[0]):
            texts = [each[0].decode("utf-8", "surrogateescape") if each else None for each in (one, other)]
            yield number, diff.Difference("message", "", texts[0], texts[1], True)


def _difference_item(number: int, each: diff.Difference) -> dict[str, Any]:
    return {"message": number, "place": each.place, "name": each.name, "a": each.a, "b": each.b, "segment": each.segment}


def _print_difference(number: int, each: diff.Difference) -> None:
    where = f"message {number}: " if number > 1 else ""
    what = each.name if not each.segment else "only in A" if each.b is None else "only in B" if each.a is None else "differs"
    click.echo(f"{where}{styled(render.visible(each.place), bold=True)}  {what}".rstrip())
    for sign, value, colour in (("-", each.a, "red"), ("+", each.b, "green")):
        for line in [] if value is None else value.rstrip("\r").split("\r") if each.segment else [value]:
            click.echo(styled(f"  {sign} {render.visible(line)}", fg=colour))


@hl7.command()
@files.file_argument()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--raw", is_flag=True, help="As it is written: escapes not resolved.")
@encoding_option
@json_option
def get(file: Path, paths: tuple[str, ...], raw: bool, encoding: str, as_json: bool) -> int:
    """Print the values at one or more paths, a line each; control characters in them are shown as pictures.

    A path is a segment, a field, and as the case may be a repetition, a component and a subcomponent. With several
    paths, an absent one is an empty line. What is odd about a message's lines, separators and characters is said on the
    standard error. Exit 1 when a path is in none of the messages, or a line is no segment (BAD_SEGMENT): what it holds is in no path.

    \b
    Examples:
      suture hl7 get implant.hl7 PID-3.1
      suture hl7 get implant.hl7 MSH-10 'PID-3[MR].1' 'FT1(1)-7.1'
      suture hl7 get day.hl7 PID-3.1 --json
    """
    number, broken = 0, False

    def told(message: er7.Message) -> None:
        nonlocal broken
        tell(message.odd, number)
        tell_remarks(message, number)
        broken = broken or bool(message.odd.broken)

    read = _reader(paths, raw, encoding, told)
    found: set[str] = set()

    def rows() -> Iterator[dict[str, list[str]]]:
        nonlocal number
        for number, each_raw in enumerate(files.messages(file), 1):  # noqa: B007  # told by `told`
            try:
                row = read(each_raw)
            except MessageError as error:
                click.echo(f"suture: left out, not an HL7 message ({error.reason})", err=True)
                continue
            found.update(text for text, each in row.items() if each)
            yield row

    if as_json:
        echo_json_list(rows())
    else:
        for row in rows():
            _print_row(row)
    return exits.OK if found == set(paths) and not broken else exits.FAILED


def _print_row(row: dict[str, list[str]]) -> None:
    for found in row.values():
        for value in found or ([""] if len(row) > 1 else []):
            output.say(render.visible(value))


def _reader(
    paths: tuple[str, ...], raw: bool, encoding: str, told: Callable[[er7.Message], None]
) -> Callable[[bytes], dict[str, list[str]]]:
    """A function from a message to the values at each path that are not empty."""
    try:
        places = [er7.path_to_many(text) for text in paths]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="PATH") from None
    if raw or any(place.many for place in places):
        return lambda data: _all_values(data, paths, raw, encoding, told)
    read = quick.reader(places, encoding, told)
    return lambda data: {text: [value] if value else [] for text, value in zip(paths, read(data), strict=True)}


def _all_values(data: bytes, paths: tuple[str, ...], raw: bool, encoding: str, told: Callable[[er7.Message], None]) -> dict[str, list[str]]:
    message = er7.Message.parse(data, encoding)
    told(message)
    return {text: values(message, text, raw) for text in paths}


def values(message: er7.Message, text: str, raw: bool = False) -> list[str]:
    """The values at a path that are not empty. raw: as they are written."""
    if raw:
        message = message.copy()
        for segment in message.segments:
            segment.delimiters = changed(segment.delimiters, escape="")  # nothing is an escape sequence then
    return [value for value in message.get_all(text) if value]
