"""A test receiver: listen."""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from suture.cli import exits, output, tree
from suture.cli.mllp import listening
from suture.cli.options import Number
from suture.model.hosts import is_host

CODES = ("AA", "AE", "AR", "CA", "CE", "CR")
"""HL7 table 0008."""
_count = click.IntRange(0, 1_000_000_000)


class _Every(click.ParamType[tuple[int, str]]):
    name = "N:CODE"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> tuple[int, str]:
        match = re.fullmatch(r"([1-9]\d{0,8}):([A-Za-z]{2})", str(value))
        if not match or match[2].upper() not in CODES:
            self.fail(f"{value!r} is not N:CODE; write for example 3:AE (codes: {', '.join(CODES)})", parameter, context)
        return int(match[1]), match[2].upper()


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=2575, show_default=True, help="Port to listen on; 0: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: all of this machine's.")
@click.option("--code", type=click.Choice(CODES), help="Answer every message so [default: AA, CA or nothing, as MSH-15 and MSH-16 ask].")
@click.option("--every", type=_Every(), multiple=True, help="Answer each N-th message with CODE (may be given more than once).")
@click.option("--delay-ms", type=Number(0, 3_600_000), default=0.0, help="Wait so many milliseconds before each answer.")
@click.option("--drop-every", type=_count, default=0, help="Close the connection at each N-th message, without an answer.", metavar="N")
@click.option("--silent-every", type=_count, default=0, help="Do not answer each N-th message.", metavar="N")
@click.option("--text", default="", help="MSA-3 of a negative answer.")
@click.option("--save", type=click.Path(path_type=Path), help="Keep each message in a file of this directory.", metavar="DIR")
@click.option("--count", type=_count, default=0, help="End after so many messages [default: at Ctrl-C].", metavar="N")
@click.option(
    "--print",
    "view",
    type=click.Choice(["line", "tree", "raw"]),
    default="line",
    show_default=True,
    help="What to print of a message; line: number, control id, type, answer and no content.",
)
@click.option(
    "--limit-bytes", type=click.IntRange(1024, 1 << 31), default=64 << 20, show_default=True, help="Close at a message larger than this."
)
@click.option("--cert", type=click.Path(path_type=Path), help="Speak TLS with the certificate of this PEM file.")
@click.option("--key", type=click.Path(path_type=Path), help="PEM file of the key of --cert, when it is not in the same file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line a message, and one with the figures at the end.")
def listen(port: int, host: str, save: Path | None, count: int, view: str, as_json: bool, **given: Any) -> int:
    """Receive HL7 messages over MLLP and answer them as told: a receiver for tests, not for production.

    It keeps nothing unless you name --save, and prints no content unless you name --print. Ctrl-C, or the N messages
    of --count, end it with the figures and exit code 0; code 1 when a message cannot be saved.

    \b
    Examples:
      suture listen --port 2575
      suture listen --port 2575 --every 3:AE --every 10:AR --drop-every 25
      suture listen --delay-ms 2000 --silent-every 5 --count 100 --json
      suture listen --save received --print tree
    """
    tls = _tls(given.pop("cert"), given.pop("key"))
    limit_bytes = given.pop("limit_bytes")
    with _bound(host, port) as listener:
        store = _store(save) if save else None
        receiver = listening.Receiver(listener, listening.Behaviour(**given), _printer(view, as_json), limit_bytes)
        receiver.tls, receiver.count, receiver.store = tls, count, store
        try:
            _announce(listener, as_json)
            receiver.serve()
        except KeyboardInterrupt:
            pass
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(f"{save or host}: {error.strerror or error}") from None
    _end(receiver.counts, as_json)
    return exits.OK


def _store(folder: Path) -> listening.Store:
    try:
        return listening.Store(folder)
    except OSError as error:
        raise click.BadParameter(
            f"{folder}: {error.strerror or error}; name a directory that can be written", param_hint="--save"
        ) from None


def _bound(host: str, port: int) -> socket.socket:
    if not is_host(host):
        raise click.BadParameter(f"{host!r} cannot be the name of a host; write an address of this machine", param_hint="--host")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), port), family=family, backlog=128)
    except OSError as error:
        reason = error.strerror or str(error)
        raise click.BadParameter(f"cannot listen on {host}:{port}: {reason}; name another with --port", param_hint="--port") from None


def _tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if not cert:
        if key:
            raise click.UsageError("--key is the key of --cert: name that too")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:
        reason = "not a PEM file, or the key is not of it" if isinstance(error, ssl.SSLError) else error.strerror
        raise click.BadParameter(f"{cert}: {reason}", param_hint="--cert, --key") from None
    return context


def _announce(listener: socket.socket, as_json: bool) -> None:
    host, port = listener.getsockname()[:2]
    click.echo(json.dumps({"listening": {"host": host, "port": port}}) if as_json else f"listening on {host}:{port}; Ctrl-C ends it")
    sys.stdout.flush()


def _printer(view: str, as_json: bool) -> Callable[[listening.Received], None]:
    def show(received: listening.Received) -> None:
        if as_json:
            click.echo(json.dumps(_item(received, view), ensure_ascii=output.only_ascii()))
        else:
            parts = [str(received.number), received.control_id or "(no control id)", received.type or "(no type)", received.answer]
            output.say("  ".join(parts + ([received.saved] if received.saved else [])))
            if view == "raw":
                output.say(tree.readable(received.raw).rstrip("\n"))
            if view == "tree":
                for line in tree.lines(received.raw):
                    output.say(line)
        sys.stdout.flush()

    return show


def _item(received: listening.Received, view: str) -> dict[str, Any]:
    item = {"number": received.number, "control_id": received.control_id, "type": received.type, "peer": received.peer}
    item |= {"bytes": len(received.raw), "answer": received.answer}
    if received.saved:
        item["file"] = received.saved
    return item if view == "line" else item | {"raw": received.raw.decode("utf-8", "replace")}


def _end(counts: listening.Counts, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"summary": output.plain(counts)}))
        return
    answers = ", ".join(f"{count} {name}" for name, count in sorted(counts.answers.items()))
    stray = f"; {counts.stray_bytes} bytes outside of frames" if counts.stray_bytes else ""
    click.echo(
        f"\n{counts.received} received ({counts.bytes} bytes) over {counts.connections} connections; answered {answers or 'none'}{stray}"
    )
