"""Driver: hl7.mllp as a sender. Arguments: the port, and how many messages. Prints what came of them as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

import hl7
from hl7.mllp import open_hl7_connection

MESSAGE = (
    "MSH|^~\\&|CABINET|OR|SUTURE|GENERAL|20260512090210||DFT^P03^DFT_P03|S{n}|P|2.5.1\rEVN|P03|20260512090210\r"
    "PID|1||7{account}^^^GENERAL^MR||MULLER^ZOE|||||||||||||{account}\rFT1|1|S{n}||20260512090210||CG|IMP-1|||1\r"
)


async def main(port: int, count: int) -> None:
    """Send them one after the other."""
    reader, writer = await open_hl7_connection("127.0.0.1", port)
    codes: Counter[str] = Counter()
    foreign = 0
    for n in range(count):
        writer.writemessage(hl7.parse(MESSAGE.format(n=n, account=n % 40)))
        await writer.drain()
        msa = (await asyncio.wait_for(reader.readmessage(), 60)).segment("MSA")
        codes[str(msa[1])] += 1
        foreign += str(msa[2]) != f"S{n}"
    print(json.dumps({"codes": codes, "foreign": foreign}))
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:3])))
