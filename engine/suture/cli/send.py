"""An MLLP client: send."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from suture.cli import exits, output, tree
from suture.model.errors import MessageError
from suture.wire import er7, mllp

POSITIVE = ("AA", "CA")
ACK_LIMIT_BYTES = 1 << 20
_FRAMED = re.compile(rb"\x0b(.*?)(?:\x1c\r?|\Z)", re.DOTALL)
_BATCH = (b"FHS", b"BHS", b"BTS", b"FTS")


@dataclass(slots=True)
class Reply:
    """One message sent. code: MSA-1, "" when nothing that can be read came; fault: why not."""

    control_id: str
    code: str = ""
    text: str = ""
    took_ms: float = 0.0
    fault: str = ""
    ack: bytes = b""


class _Address(click.ParamType[tuple[str, int]]):
    name = "HOST:PORT"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> tuple[str, int]:
        host, colon, port = str(value).rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
            self.fail(f"{value!r} is not HOST:PORT; write for example 127.0.0.1:2575", parameter, context)
        return host.strip("[]"), int(port)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", "address", type=_Address(), required=True, help="Where an MLLP server listens, such as 127.0.0.1:2575.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.01, 3600), default=10.0, show_default=True, help="Seconds to wait for an ACK."
)
@click.option("--repeat", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Send the file so often.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def send(file: Path, address: tuple[str, int], timeout_s: float, repeat: int, as_json: bool) -> int:
    """Send the HL7 messages of a file over MLLP, one after the other, and print the ACKs.

    FILE may hold several messages, framed or not, with any line ends. Exit 1 when one is not accepted, 4 when the peer
    cannot be reached or does not answer.

    \b
    Examples:
      suture send channels/or-supply/samples/implant.hl7 --to 127.0.0.1:2575
      suture send day.hl7 --to cabinet-gateway:2575 --timeout 30 --json
    """
    try:
        found = messages(file.read_bytes())
    except OSError as error:
        raise click.BadParameter(f"{file}: {error.strerror}", param_hint="FILE") from None
    if not found:
        raise click.BadParameter(f"{file}: there is no message in it", param_hint="FILE")
    replies = []
    for reply in _conversation(found * repeat, address, timeout_s):
        replies.append(reply)
        if not as_json:
            _show(reply, alone=len(found) * repeat == 1)
    if as_json:
        output.print_json([{**output.plain(each), "ack": each.ack.decode("utf-8", "replace")} for each in replies])
    return _code(replies)


def messages(data: bytes) -> list[bytes]:
    """The messages of a file: framed ones as they stand, others cut before each MSH, with segments ended by CR."""
    if b"\x0b" in data:
        return [part for part in _FRAMED.findall(data) if part.strip()]
    found: list[list[bytes]] = []
    for line in re.split(rb"[\r\n]+", data.removeprefix(b"\xef\xbb\xbf")):
        if not line.strip() or line.startswith(_BATCH):
            continue
        if line.startswith(b"MSH") or not found:
            found.append([])
        found[-1].append(line)
    return [b"\r".join(lines) + b"\r" for lines in found]


def _conversation(found: list[bytes], address: tuple[str, int], timeout_s: float) -> Iterator[Reply]:
    """Send each message when the one before is answered; ends after the first without an answer."""
    try:
        with socket.create_connection(address, timeout=timeout_s) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for raw in found:
                reply = _exchange(peer, raw, timeout_s)
                yield reply
                if not reply.code:
                    return
    except OSError as error:
        fault = error.strerror or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
        yield Reply(_control_id(found[0]), fault=f"cannot connect to {address[0]}:{address[1]}: {fault}")


def _exchange(peer: socket.socket, raw: bytes, timeout_s: float) -> Reply:
    began_s = time.monotonic()
    reply = Reply(_control_id(raw))
    try:
        peer.sendall(mllp.frame(raw))
        reply.ack = _receive(peer, began_s + timeout_s)
    except TimeoutError:
        reply.fault = f"no ACK in {timeout_s:g} s"
    except (OSError, mllp.FrameTooLarge) as error:
        reply.fault = getattr(error, "strerror", None) or str(error) or "an endless answer"
    reply.took_ms = (time.monotonic() - began_s) * 1000
    if reply.ack:
        _judge(reply)
    return reply


def _receive(peer: socket.socket, deadline_s: float) -> bytes:
    unframer = mllp.Unframer(ACK_LIMIT_BYTES)
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        peer.settimeout(left_s)
        data = peer.recv(65_536)
        if not data:
            raise ConnectionError("the peer closed the connection without an ACK")
        if acks := unframer.feed(data):
            return acks[0]


def _judge(reply: Reply) -> None:
    try:
        ack = er7.Message.parse(reply.ack)
    except MessageError as error:
        reply.fault = f"the answer is not HL7: {error.reason}"
        return
    answered = ack.get("MSA-2")
    reply.text = " ".join(dict.fromkeys(part for part in (ack.get("MSA-3"), ack.get("ERR-8")) if part))
    if reply.control_id and answered != reply.control_id:
        reply.fault = f"the answer is for {answered!r}"
        return
    reply.code = ack.get("MSA-1")
    if not reply.code:
        reply.fault = "the answer has no MSA-1"


def _control_id(raw: bytes) -> str:
    try:
        return er7.Message.parse(raw).get("MSH-10")
    except MessageError:
        return ""


def _show(reply: Reply, alone: bool) -> None:
    if alone and reply.ack:
        output.say(tree.readable(reply.ack).rstrip("\n"))
    result = reply.code or f"FAILED: {reply.fault}"
    parts = (reply.control_id or "(no control id)", result, reply.text, f"{reply.took_ms:.1f} ms")
    output.say("  ".join(part for part in parts if part))


def _code(replies: list[Reply]) -> int:
    if any(not reply.code for reply in replies):
        return exits.NO_ANSWER
    return exits.OK if all(reply.code in POSITIVE for reply in replies) else exits.FAILED
