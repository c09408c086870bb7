"""Settings of MLLP that both directions share: the bytes around a message, and the release of the protocol."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from suture.wire import mllp
from suture.wire.mllp import Framing


def _hex(value: Any) -> str:
    """Bytes as they may be written (0b, 0x0B, 1c 0d, 0x1C0x0D, or a number) as plain hex."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 256:
        return f"{value:02x}"
    text = "".join(str(value).lower().replace("0x", " ").replace(",", " ").split())
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        raise ValueError(f"{str(value)[:40]!r} is not bytes in hex, e.g. 0b or 1c 0d") from None


def _start(text: str) -> str:
    Framing(bytes.fromhex(text), b"\x1f" if text == "1c" else b"\x1c")
    return text


def _end(text: str) -> str:
    end = bytes.fromhex(text)
    Framing(b"\x02" if b"\x02" not in end else b"\x0b" if b"\x0b" not in end else b"\x01", end)
    return text


StartByte = Annotated[str, BeforeValidator(_hex), AfterValidator(_start)]
"""One byte in hex."""
EndBytes = Annotated[str, BeforeValidator(_hex), AfterValidator(_end)]
"""One to four bytes in hex."""
Release = Annotated[Literal["1", "2"], BeforeValidator(str)]
"""Release of the MLLP specification."""


def framing_of(config: Any) -> Framing:
    """The framing that a connector's settings say. Raises ValueError when their bytes cannot be told apart."""
    framing = Framing(bytes.fromhex(config.start_byte), bytes.fromhex(config.end_bytes))
    for byte in (mllp.COMMIT_ACK, mllp.COMMIT_NAK) if config.release == "2" else ():
        if byte in (framing.start, framing.end[:1]):
            raise ValueError(f"0x{byte.hex()} is a commit acknowledgement in release 2 and cannot begin or end a message")
    return framing
