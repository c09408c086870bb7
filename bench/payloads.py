"""What queues carry when they are measured: the same for ours and for another's, whose Python has nothing of this repository's."""

from __future__ import annotations

import hashlib

BYTES = 1000


def payload(number: int) -> str:
    """A JSON object of BYTES characters. Half of it is different in every payload, so that it compresses about as charges do."""
    digits = hashlib.shake_128(b"%d" % number).hexdigest(BYTES // 4)
    head = f'{{"id": "BENCH{number:09d}", "different": "{digits}", "alike": "'
    return head + "x" * (BYTES - len(head) - 2) + '"}'
