"""After the faults: the engine drains, an operator does what operators do, and the store is read."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping

from tests import contents
from tests.campaign.ledger import CHANNEL_OF, HOLDING, History, StoredAttempt, StoredDelivery, StoredMessage
from tests.campaign.sinks import Sink
from tests.campaign.ward import Ward
from tests.crash.hospital import MARKER

NO_PROGRESS_S = 20.0
"""A drain in which nothing has moved for so long is over: several times any pause that the site has."""
AT_A_TIME = 40
"""Deliveries that are let go with one command."""
REASON = ("--reason", "campaign", "--yes", "--wait", "20")
_TIME = re.compile(r"^\S+Z ")
_WAITING = "state IN ('queued', 'in_flight', 'retrying')"

Open = tuple[str, str, int, str]
"""(destination, lane, id, state) of something that is not at its end."""


def still_open(ward: Ward) -> list[Open]:
    """Deliveries and messages that the engine itself has to bring to an end."""
    found = ward.query(f"SELECT destination, lane, id, state FROM delivery WHERE {_WAITING}")
    found += ward.query("SELECT channel, '', -id, state FROM message WHERE state = 'received'")
    return [(str(d), str(lane), int(i), str(s)) for d, lane, i, s in found]


def drain(ward: Ward, but_for: Mapping[str, set[str]], moved: Callable[[], object]) -> list[Open]:
    """Wait until nothing is open, but for accounts of sinks; what is left when nothing moves any more."""
    left, seen, since_s = _left(ward, but_for), None, time.monotonic()
    while left and time.monotonic() - since_s < NO_PROGRESS_S:
        time.sleep(0.5)
        left = _left(ward, but_for)
        now = (left, moved())
        if now != seen:
            seen, since_s = now, time.monotonic()
    return left


def _left(ward: Ward, but_for: Mapping[str, set[str]]) -> list[Open]:
    return [each for each in still_open(ward) if each[1] not in but_for.get(each[0], ())]


def operate(ward: Ward, history: History, moved: Callable[[], object]) -> None:
    """What waits for a person is let go where the partner has it not; what is stuck is tried to be let go, too."""
    for _ in range(3):
        taken = {(arrival.sink, arrival.origin) for arrival in history.arrivals if arrival.took}
        rows = ward.query(
            "SELECT d.id, d.destination, m.control_id FROM delivery d JOIN message m ON m.id = d.message_id"
            " WHERE d.state IN ('held', 'dead') ORDER BY d.id"
        )
        going = [(number, (sink, origin)) for number, sink, origin in rows if (sink, origin) not in taken]
        if not going:
            break
        history.insisted |= {leg for _, leg in going}
        for start in range(0, len(going), AT_A_TIME):
            _ask(ward, history, "delivery", "release", *(str(number) for number, _ in going[start : start + AT_A_TIME]))
        drain(ward, {}, moved)
    for destination, _, number, state in still_open(ward)[:3]:
        if number > 0:
            code, words = ward.ask("delivery", "release", str(number), *REASON)
            history.notes.append(("stuck", f"`delivery release {number}` ({state}, {destination}): exit {code}, {_last(words)}"))
    _send_again(ward, history)


def _send_again(ward: Ward, history: History) -> None:
    """Something that was taken: not sent again, unless the operator insists."""
    rows = ward.query(
        "SELECT m.id, m.control_id FROM delivery d JOIN message m ON m.id = d.message_id"
        " WHERE d.destination = 'erp' AND d.state = 'accepted' ORDER BY d.id DESC LIMIT 1"
    )
    for number, origin in rows:
        resend = ("message", "resend", str(number), "--to", "erp")
        if ward.ask(*resend, *REASON)[0] != 1:
            history.notes.append(("refused", f"`message resend {number}` of what was taken is not refused"))
        history.insisted.add(("erp", origin))
        before = _arrivals(history, "erp", origin)
        _ask(ward, history, *resend, "--insist")
        deadline_s = time.monotonic() + 20
        while _arrivals(history, "erp", origin) == before and time.monotonic() < deadline_s:
            time.sleep(0.1)
        if _arrivals(history, "erp", origin) == before:
            history.notes.append(("refused", f"message {number} was sent again on purpose and did not come"))


def _arrivals(history: History, sink: str, origin: str) -> int:
    return sum((arrival.sink, arrival.origin) == (sink, origin) for arrival in list(history.arrivals))


def _ask(ward: Ward, history: History, *arguments: str) -> None:
    code, words = ward.ask(*arguments, *REASON)
    if code:
        history.notes.append(("refused", f"`{' '.join(arguments[:3])} ...`: exit {code}, {_last(words)}"))


def _last(words: str) -> str:
    return words.splitlines()[-1][:200] if words else "no word"


def books(ward: Ward, history: History) -> None:
    """Every input is accounted for, says the engine's own command."""
    for channel in CHANNEL_OF.values():
        code, words = ward.ask("channel", "show", channel, "--balance")
        if code:
            history.notes.append(("books", f"`channel show {channel} --balance`: exit {code}, {_last(words)}"))


def read_store(ward: Ward, history: History) -> None:
    """The rows that the judge looks at; the engine has ended."""
    with ward.connected() as connection:
        raws = contents.raws(connection)
    for number, channel, control_id, state in ward.query("SELECT id, channel, control_id, state FROM message"):
        history.messages.append(StoredMessage(number, channel, control_id, state, hashlib.sha256(raws[number]).hexdigest()[:16]))
    origin = {message.id: message.control_id for message in history.messages}
    for number, message, destination, state, reason in ward.query("SELECT id, message_id, destination, state, reason FROM delivery"):
        history.deliveries.append(StoredDelivery(number, origin.get(message, "?"), destination, state, reason))
    for delivery, number, outcome, code, ended_us in ward.query("SELECT delivery_id, number, outcome, code, ended_at_us FROM attempt"):
        history.attempts.append(StoredAttempt(delivery, number, outcome, code, ended_us / 1e6))
    for message, delivery, resolved_us in ward.query("SELECT message_id, delivery_id, resolved_at_us FROM exception"):
        if delivery is not None:
            history.parked.add(delivery)
        if resolved_us is None:
            history.excepted.add((origin.get(message, "?"), delivery))


def read_logs(ward: Ward, history: History) -> None:
    """Nothing in a log is unexpected, and nobody's name is."""
    for path in ward.logs():
        for line in path.read_text(errors="replace").splitlines():
            if MARKER in line:
                history.notes.append(("log", f"{path.name}: a patient's name"))
            elif re.search(r"Traceback|please report|never awaited|unclosed", line):
                history.notes.append(("log", f"{path.name}: {_TIME.sub('', line)[:300]}"))


def read_sinks(sinks: Mapping[str, Sink], history: History) -> None:
    """What came to sinks that they could not read."""
    history.notes += [("confused", text) for sink in sinks.values() for text in sink.wrong]


def holding(history: History) -> int:
    """Deliveries at holding sinks that waited for a person, sooner or later."""
    return sum(d.id in history.parked and d.destination in HOLDING for d in history.deliveries)
