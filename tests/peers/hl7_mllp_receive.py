"""Driver: hl7.mllp as a receiver. Prints its port as JSON, and what it took when its input ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server

taken: list[str] = []


async def serve(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
    """Take what comes on one connection, as the documentation of hl7.mllp does."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while not writer.is_closing():
            message = await reader.readmessage()
            taken.append(str(message.segment("MSH")[10]))
            writer.writemessage(message.create_ack())
            await writer.drain()
    writer.close()


async def main() -> None:
    """Serve until nobody wants it any more."""
    async with await start_hl7_server(serve, "127.0.0.1", 0) as server:
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
    print(json.dumps({"taken": taken}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
