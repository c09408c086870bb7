"""HL7 v2 messages for tests: anonymize, generate."""

from __future__ import annotations

import difflib
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import click

from suture.cli import exits, files
from suture.cli.hl7.common import echo_json, encoding_option, json_lines_option, version_option
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.text import cut
from suture.wire.hl7v2.tools import generate as samples
from suture.wire.hl7v2.tools.anonymize import Anonymizer
from suture.wire.hl7v2.tools.pseudonym import KEY_BYTES_MIN, Pseudonyms

KEY_VARIABLE = "SUTURE_ANONYMIZE_KEY"
out_option = click.option(
    "--out", type=click.Path(path_type=Path), help="Write to this file [default: the standard output].", metavar="FILE"
)


def _site_segments(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.upper() for name in given)
    for name in names:
        if not re.fullmatch("Z[A-Z0-9]{2}", name):
            raise click.BadParameter(f"{name!r} is no segment of a site; write one such as ZIT (others stay as far as they hold no person)")
    return names


@click.command()
@files.file_argument()
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"File with the key, {KEY_BYTES_MIN} bytes of chance or more [default: the text in {KEY_VARIABLE}, else a new key each time].",
)
@click.option(
    "--keep", multiple=True, metavar="ZXX", callback=_site_segments, help="Leave this segment as it is (may be given more than once)."
)
@out_option
@version_option
@encoding_option
@json_lines_option
def anonymize(
    file: Path, key: Path | None, keep: tuple[str, ...], out: Path | None, version: str | None, encoding: str, as_json: bool
) -> int:
    """Replace what tells who somebody is, and leave structure, codes, prices and items byte for byte.

    The same identifier, name, address or phone number becomes the same pseudonym in every message and file that is
    done with the same key, also where it is repeated in a text; a patient's dates all move by the same number of weeks. Free
    text, documents and segments that the standard does not have are replaced whole. Whoever has the key can tell who is who:
    keep it as you keep the data.

    It does not promise that nobody can be recognised: rare codes, places, times of day, intervals, prices, and the names of
    hospitals and systems stay; one name may be written in two ways, and be two; what a sender put into a field for codes
    is taken for a code. Have a person look before a file leaves the house.

    \b
    Examples:
      head -c 32 /dev/urandom > site.key
      suture hl7 anonymize day.hl7 --key site.key --out day-anonymous.hl7
      suture hl7 anonymize day.hl7 --key site.key --keep ZIT | suture send - --to 127.0.0.1:2575
    """
    anonymizer = Anonymizer(Pseudonyms(_key(key)), keep, version or "")
    if out and str(file) != "-" and out.exists() and file.exists() and out.samefile(file):
        raise click.UsageError("--out is the file itself: name another")
    with files.opened(file) as stream:
        units = cut.units(files.chunks(stream), files.LIMIT_BYTES)
        replaced = (anonymizer.unit(unit, encoding) for unit in units)
        if as_json:
            for each in replaced:
                if message := cut.message_of(each):
                    echo_json({"message": message.decode("utf-8", "surrogateescape")})
        else:
            write_bytes(replaced, out)
    return exits.OK


def _key(path: Path | None) -> bytes:
    given = os.environ.get(KEY_VARIABLE, "")
    if path is None and not given:
        click.echo(f"suture: a new key, so nothing fits what was done before; name one with --key or {KEY_VARIABLE}", err=True)
        return secrets.token_bytes(32)
    try:
        key = given.encode("utf-8", "surrogateescape") if path is None else path.read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint="--key") from None
    if len(key) < KEY_BYTES_MIN:
        where = KEY_VARIABLE if path is None else f"--key {path}"
        raise click.UsageError(
            f"the key of {where} is shorter than {KEY_BYTES_MIN} bytes; make one with: head -c 32 /dev/urandom > site.key"
        )
    return key


def write_bytes(pieces: Iterator[bytes], out: Path | None) -> None:
    """Write as they come. Raises BadParameter when the file cannot be written."""
    with _output(out) as stream:
        for piece in pieces:
            try:
                stream.write(piece)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise click.ClickException(f"{out or 'standard output'}: {error.strerror}") from None
        stream.flush()


@contextmanager
def _output(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        sys.stdout.flush()
        yield cast(BinaryIO, sys.stdout.buffer)
        return
    try:
        stream = out.open("wb")
    except OSError as error:
        raise click.BadParameter(f"{out}: {error.strerror}", param_hint="--out") from None
    with stream:
        yield stream


@click.command()
@click.argument("message_type", metavar="TYPE")
@click.option("--version", type=click.Choice(dictionary.VERSIONS), default=dictionary.DEFAULT_VERSION, show_default=True, help="Of HL7.")
@click.option("--count", type=click.IntRange(1, 10_000_000), default=1, show_default=True, help="So many messages.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed gives the same messages.")
@out_option
@json_lines_option
def generate(message_type: str, version: str, count: int, seed: int, out: Path | None, as_json: bool) -> int:
    """Make sample messages of a type, such as DFT^P03, that fit the standard: for tests, with invented people.

    They have the required segments and fields and the usual ones; a DFT has several FT1. Segments end with CR.

    \b
    Examples:
      suture hl7 generate DFT^P03 --count 100 --out sample.hl7
      suture hl7 generate ADT^A01 --version 2.3 --seed 7 | suture hl7 show -
      suture hl7 generate ORU^R01 --count 1000 | suture send - --to 127.0.0.1:2575 --rate 50
    """
    if dictionary.structure(version, message_type) is None:
        raise click.BadParameter(_unknown(message_type, version), param_hint="TYPE")
    made = (samples.message(message_type, version, seed, number) for number in range(1, count + 1))
    if as_json:
        if out:
            raise click.UsageError("--json goes to the standard output: leave out --out")
        for each in made:
            echo_json({"message": each.decode()})
    else:
        write_bytes(made, out)
    return exits.OK


def _unknown(message_type: str, version: str) -> str:
    known = dictionary.structures(version)
    near = difflib.get_close_matches(message_type.upper().replace("^", "_"), known, 3, 0.5)
    hint = f"; did you mean {' or '.join(name.replace('_', '^') for name in near)}?" if near else "; write one such as DFT^P03 or ORU^R01"
    return f"HL7 {version} has no message {message_type!r}{hint}"
