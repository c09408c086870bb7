"""Reading files of messages as the commands for people do: `-` is the standard input, nothing is read whole."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

from suture.wire.hl7v2.text import cut

LIMIT_BYTES = 256 << 20
"""The largest message that the commands for people take."""
CHUNK_BYTES = 1 << 16


def file_argument(name: str = "file") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A file of messages; `-` is the standard input."""
    return click.argument(name, type=click.Path(path_type=Path, allow_dash=True))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file for reading. Raises BadParameter when it cannot be opened or read."""
    try:
        if str(path) == "-":
            yield cast(BinaryIO, getattr(sys.stdin, "buffer", sys.stdin))
            return
        with path.open("rb") as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror or error}", param_hint="FILE") from None
    except cut.MessageTooLarge as error:
        raise click.BadParameter(f"{path}: {error}; is it a file of HL7 messages?", param_hint="FILE") from None


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """What is in a file, piece by piece."""
    while data := file.read(CHUNK_BYTES):
        yield data


def messages(path: Path, seen: Callable[[bytes], None] = lambda unit: None) -> Iterator[bytes]:
    """The messages of a file, one after another. seen: is given each unit of the file (`cut.units`), too, as it is read.

    Raises BadParameter when it cannot be read or holds none.
    """
    found = False

    def watched(file: BinaryIO) -> Iterator[bytes]:
        for unit in cut.units(chunks(file), LIMIT_BYTES):
            seen(unit)
            yield unit

    with opened(path) as file:
        for message in cut.messages(watched(file)):
            found = True
            yield message
    if not found:
        raise click.BadParameter(f"{path}: there is no message in it", param_hint="FILE")
