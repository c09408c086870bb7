"""An MLLP client: send."""

from __future__ import annotations

import itertools
import json
import secrets
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from suture.cli import exits, files, output, tree
from suture.cli.hl7.common import tell
from suture.cli.mllp import sending
from suture.cli.options import Number
from suture.connectors.mllp import conversing
from suture.model.errors import MessageError
from suture.model.hosts import is_host
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.lines import NOTHING
from suture.wire.hl7v2.tools import render

FAULTS_SHOWN = 20
"""In a large run so many refusals are printed a line each; the summary counts them all."""


class Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT, as host and port."""

    name = "HOST:PORT"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> tuple[str, int]:
        host, colon, port = str(value).rpartition(":")
        if not colon or not host or not (port.isascii() and port.isdigit() and len(port) < 6) or not 0 < int(port) < 65536:
            self.fail(f"{value!r} is not HOST:PORT; write for example 127.0.0.1:2575", parameter, context)
        if not is_host(host):
            self.fail(f"{host!r} cannot be the name of a host; write for example 127.0.0.1:2575", parameter, context)
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says of a run."""

    timeout_s: float
    application_s: float
    insists: bool
    repeat: int
    count: int | None
    rate: float | None
    connections: int
    new_ids: bool
    keep_going: bool
    as_json: bool

    @property
    def large(self) -> bool:
        """A run of which one wants the figures, not a line a message."""
        return bool(self.count or self.rate or self.connections > 1)


@click.command()
@files.file_argument()
@click.option("--to", "address", type=Address(), required=True, help="Where an MLLP server listens, such as 127.0.0.1:2575.")
@click.option(
    "--timeout", "timeout_s", type=Number(0.01, 3600), default=10.0, show_default=True, help="Seconds to wait for the first answer."
)
@click.option(
    "--application-timeout",
    "application_s",
    type=Number(0.01, 3600),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the application's answer, from the commit answer on.",
)
@click.option("--application", "insists", is_flag=True, help="Wait for the application's answer after a CA, whatever MSH-16 says.")
@click.option("--repeat", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Send the file so often.")
@click.option(
    "--count", type=click.IntRange(1, 1_000_000_000), help="Send so many messages in all, from the file's start again at its end."
)
@click.option("--rate", type=Number(0.001, 100_000), help="At most so many messages a second, over all connections.")
@click.option("--connections", type=click.IntRange(1, 256), default=1, show_default=True, help="So many connections at once.")
@click.option("--new-ids", is_flag=True, help="Give every message sent an MSH-10 of its own, so that copies are no duplicates.")
@click.option("--keep-going", is_flag=True, help="Go on after a message without an answer, over a new connection.")
@click.option("--tls", is_flag=True, help="Speak TLS; the peer's certificate is checked against --ca, else the system's authorities.")
@click.option("--ca", type=click.Path(path_type=Path), help="PEM file of the authority that the peer's certificate must come from.")
@click.option("--cert", type=click.Path(path_type=Path), help="PEM file of our own certificate, for a peer that asks for one.")
@click.option("--key", type=click.Path(path_type=Path), help="PEM file of the key of --cert, when it is not in the same file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts: the replies, or the figures of a large run.")
def send(file: Path, address: tuple[str, int], **given: Any) -> int:
    """Send the HL7 messages of a file over MLLP, each when the one before is answered, and print the ACKs.

    FILE may hold several messages, framed or not, with any line ends, and be as large as you like; - is the standard
    input. What is waited for is what the message asks for: one answer; in enhanced mode (MSH-15, MSH-16) the commit answer,
    then the application's, each unless NE. With --count, --rate or --connections the run is a large one: refusals and the
    figures at its end are printed, not a line a message, and a progress bar is shown on a terminal. It ends at the first
    message without an answer, unless you say --keep-going. Exit 1 when one is not accepted, 4 when the peer cannot be
    reached or an answer that is due does not come, 130 after Ctrl-C (the figures are printed all the same).

    \b
    Examples:
      suture send channels/or-supply/samples/implant.hl7 --to 127.0.0.1:2575
      suture send day.hl7 --to cabinet-gateway:2575 --timeout 30 --json
      suture send day.hl7 --to 127.0.0.1:2575 --count 10000 --rate 200 --connections 8 --new-ids
      suture send day.hl7 --to gateway:2576 --tls --ca hospital-ca.pem --cert me.pem --key me.key
    """
    tls = {name: given.pop(name) for name in ("tls", "ca", "cert", "key")}
    options = Options(**given)
    patience = conversing.Patience(options.timeout_s, options.application_s, options.insists)
    peer = sending.Peer(*address, patience, _tls(**tls), options.keep_going)
    return _Sending(file, peer, options).run()


def _tls(tls: bool, ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if not tls:
        if ca or cert or key:
            raise click.UsageError("--ca, --cert and --key are for TLS: add --tls")
        return None
    if key and not cert:
        raise click.UsageError("--key is the key of --cert: name that too")
    try:
        return sending.tls_context(ca, cert, key)
    except OSError as error:
        reason = error.strerror if error.strerror and not isinstance(error, ssl.SSLError) else "not a PEM file, or the key is not of it"
        names = ", ".join(str(each) for each in (ca, cert, key) if each)
        raise click.BadParameter(f"{names}: {reason}", param_hint="--ca, --cert, --key") from None


class _Sending:
    """One run of the command: what is sent, and what is printed."""

    def __init__(self, file: Path, peer: sending.Peer, options: Options) -> None:
        self._options, self._shown, self._odd = options, 0, 0
        self._total = options.count
        self._run = sending.Run(self._messages(file), peer, options.connections, options.rate, self._heard)
        self._last: conversing.Reply | None = None
        self._bar: Any = None
        self._margin = ""

    def _messages(self, file: Path) -> Iterator[bytes]:
        """What to send, in order. The standard input cannot be read twice: what is to be repeated of it is kept."""
        options = self._options
        kept = _kept(file) if str(file) == "-" and (options.count or options.repeat > 1) else None
        rounds = itertools.count() if options.count else range(options.repeat)
        found: Iterator[bytes] = (raw for _ in rounds for raw in (kept or files.messages(file)))
        if options.count:
            found = itertools.islice(found, options.count)
        prefix = secrets.token_hex(4).upper()
        for number, raw in enumerate(found, 1):
            self._look(number, raw)
            yield conversing.with_control_id(raw, f"{prefix}{number:09d}") if options.new_ids else raw

    def _look(self, number: int, raw: bytes) -> None:
        """Say what the receiver may find odd about the lines of a message; it is sent as it is."""
        try:
            odd = er7.Message.parse(raw).odd
        except MessageError:
            return
        if odd is not NOTHING and self._odd < FAULTS_SHOWN:
            self._odd += 1
            tell(odd, number, "; it is sent as it is")

    def run(self) -> int:
        """Send all; returns the exit code."""
        interrupted = False
        with self._progress():
            try:
                self._run.run()
            except KeyboardInterrupt:
                interrupted = True
        self._end()
        if interrupted:
            click.echo("ended by Ctrl-C", err=True)
            return exits.INTERRUPTED
        return self._code()

    def _progress(self) -> Any:
        """A bar where the number of messages is known, else a count; on a terminal alone."""
        hidden = not self._options.large or self._options.as_json or not sys.stderr.isatty()
        endless = None if self._total else (None for _ in ())
        bar: Any = click.progressbar(endless, self._total, label="sending", file=sys.stderr, hidden=hidden, show_pos=True)
        self._bar = bar
        self._margin = "" if hidden else "\r\x1b[K"
        return bar

    def _heard(self, reply: conversing.Reply) -> None:
        self._bar.update(1)
        self._shown += 1
        if self._options.large:
            self._note(reply)
        elif self._options.as_json:
            acks = {name: getattr(reply, name).decode("utf-8", "replace") for name in ("ack", "commit_ack")}
            item = {**output.plain(reply), **acks}
            click.echo(("[" if self._shown == 1 else ",") + json.dumps(item, ensure_ascii=output.only_ascii()))
        else:
            self._show(reply)

    def _note(self, reply: conversing.Reply) -> None:
        """A refusal or a fault of a large run, in a line above the bar."""
        summary = self._run.summary
        bad = summary.sent - summary.accepted - summary.unasked
        if not reply.accepted and not self._options.as_json and bad <= FAULTS_SHOWN:
            click.echo(self._margin + render.visible(_line(reply)), err=True)

    def _show(self, reply: conversing.Reply) -> None:
        """A line a message; the ACK itself too when it is the only one, which is known when the next does not come."""
        if self._shown == 2 and self._last is not None:
            output.say(_line(self._last))
        if self._shown > 1:
            output.say(_line(reply))
        self._last = reply

    def _end(self) -> None:
        options, summary = self._options, self._run.summary
        if options.as_json:
            if options.large:
                output.print_json(summary.facts())
            else:
                click.echo("]" if self._shown else "[]")
        elif self._shown == 1 and self._last is not None:
            for ack in dict.fromkeys(filter(None, (self._last.commit_ack, self._last.ack))):
                output.say(tree.readable(ack).rstrip("\n"))
            output.say(_line(self._last))
        elif self._shown > 1 or options.large:
            click.echo(_figures(summary))

    def _code(self) -> int:
        summary = self._run.summary
        if summary.unanswered:
            return exits.NO_ANSWER
        return exits.FAILED if summary.refusals else exits.OK


def _kept(file: Path) -> list[bytes]:
    """All messages of the standard input. Raises UsageError where they are too large to be kept."""
    kept, size = [], 0
    for raw in files.messages(file):
        kept.append(raw)
        size += len(raw)
        if size > files.LIMIT_BYTES:
            raise click.UsageError(f"to be repeated, the standard input may have {files.LIMIT_BYTES >> 20} MiB; write it to a file first")
    return kept


def _told(reply: conversing.Reply) -> str:
    """What was answered, in a few words: CA, then AE."""
    parts = [reply.commit] if reply.commit and reply.commit != reply.code else []
    if reply.code:
        parts.append(reply.code)
    if reply.fault:
        parts.append(f"FAILED: {reply.fault}")
    elif reply.silence:
        parts.append(f"no answer: {reply.silence}" if not parts else reply.silence)
    return ", then ".join(parts)


def _line(reply: conversing.Reply) -> str:
    late = f"late: {', '.join(reply.late)}" if reply.late else ""
    parts = (reply.control_id or "(no control id)", _told(reply), reply.text, f"{reply.took_ms:.1f} ms", late)
    return "  ".join(part for part in parts if part)


def _figures(summary: sending.Summary) -> str:
    refused = ", ".join(f"{count} {code}" for code, count in sorted(summary.refused.items()))
    parts = [f"{summary.sent} sent, {summary.accepted} accepted, {refused or '0'} refused, {summary.unanswered} without an answer"]
    if summary.unasked:
        parts[0] += f", {summary.unasked} that ask for none"
    if summary.late:
        parts.append(f"late: {', '.join(f'{count} {code}' for code, count in sorted(summary.late.items()))}")
    if summary.bins:
        parts.append(f"p50 {summary.percentile_ms(0.5):.1f} ms, p99 {summary.percentile_ms(0.99):.1f} ms")
        parts.append(f"{summary.facts()['rate']} a second for {summary.took_s:.1f} s")
    return "; ".join(parts)
