"""How each fault is done: one function a kind, which returns when the fault is over. They run on the threads of their tracks."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.campaign.ledger import History, Span
from tests.campaign.schedule import Fault
from tests.campaign.senders import Cabinets
from tests.campaign.sinks import Sink
from tests.campaign.stores import Store
from tests.campaign.ward import Ward, end

BUSY_S = 0.15
"""How long peers take while a second engine is about or the store is in trouble, so that there is always something to send."""
SENT_S = 0.3
"""So long before a verb do peers become slow: what is on its way then outlasts the drain."""


@dataclass(slots=True)
class Field:
    """All that faults can befall. say: tell what is being done."""

    ward: Ward
    store: Store
    sinks: Mapping[str, Sink]
    cabinets: list[Cabinets]
    history: History
    say: Callable[[str], None]


def kill(field: Field, fault: Fault) -> None:
    field.ward.cut_down()
    time.sleep(fault.for_s)
    field.ward.begin()
    if fault.detail["wait"]:
        field.ward.see_to_it()


def restart(field: Field, fault: Fault) -> None:
    field.ward.ask_to_end()
    time.sleep(fault.for_s)
    field.ward.begin()
    field.ward.see_to_it()


def freeze(field: Field, fault: Fault) -> None:
    begin_s = time.time()
    field.ward.send_signal(signal.SIGSTOP)
    try:
        time.sleep(fault.for_s)
    finally:
        field.ward.send_signal(signal.SIGCONT)
        field.history.frozen.append(Span(begin_s, time.time(), "frozen"))


def verb(field: Field, fault: Fault) -> None:
    """A verb of the channel; a stopped one is started again."""
    field.ward.see_to_it()
    name, what, slow_s = fault.detail["channel"], fault.detail["verb"], fault.detail["slow_s"]
    _slow_down(field, slow_s)
    try:
        time.sleep(SENT_S if slow_s else 0)
        field.say(_answer(f"channel {what} {name}", field.ward.ask("channel", what, name)))
    finally:
        _slow_down(field, 0.0)
    if what == "stop":
        field.say(f"channel start {name}: {field.ward.start_channel(name)}")


def _slow_down(field: Field, after_s: float) -> None:
    for sink in field.sinks.values():
        sink.slow_s = after_s


def _answer(asked: str, answered: tuple[int, str]) -> str:
    code, words = answered
    return f"{asked}: {code} {words.splitlines()[-1] if words else ''}".rstrip()


def second(field: Field, fault: Fault) -> None:
    """A second engine. way: plain; lock: the first loses its lock meanwhile; frozen: it loses it and stands still."""
    field.ward.see_to_it()
    begin_s, way, life = time.time(), fault.detail["way"], field.ward.new_life()
    _slow_down(field, BUSY_S)
    if way == "frozen":
        field.ward.send_signal(signal.SIGSTOP)
    other = field.ward.another(life)
    try:
        time.sleep(1.0)
        if way != "plain":
            field.store.end_sessions(holders_only=True)
        time.sleep(fault.for_s)
        field.ward.send_signal(signal.SIGCONT)
        time.sleep(2.0)
    finally:
        field.ward.send_signal(signal.SIGCONT)
        field.say(f"the second engine: {'runs' if other.poll() is None else f'ended with code {other.poll()}'}")
        if other.poll() is None:
            end(other)
        _slow_down(field, 0.0)
        field.history.seconds.append(Span(begin_s, time.time(), way))
    field.ward.see_to_it()


@contextlib.contextmanager
def _busy(field: Field) -> Iterator[None]:
    """Peers have something to do all the while: a store that takes nothing brings nothing new to send."""
    _slow_down(field, BUSY_S)
    try:
        time.sleep(1.0)
        yield
    finally:
        _slow_down(field, 0.0)


def stall(field: Field, fault: Fault) -> None:
    with _busy(field):
        field.store.stall(fault.for_s)


def disk(field: Field, fault: Fault) -> None:
    with _busy(field):
        if not field.store.fill(fault.for_s):
            field.say("left out: this user may not mount a small disk")


def backends(field: Field, fault: Fault) -> None:
    with _busy(field):
        field.store.end_sessions()


def server(field: Field, fault: Fault) -> None:
    with _busy(field):
        field.store.kill(fault.for_s)


def lies(field: Field, fault: Fault) -> None:
    sink = field.sinks[fault.detail["sink"]]
    sink.lying = fault.detail["share"]
    time.sleep(fault.for_s)
    sink.lying = 0.0


def slow(field: Field, fault: Fault) -> None:
    sink = field.sinks[fault.detail["sink"]]
    sink.slow_s = fault.detail["after_s"]
    time.sleep(fault.for_s)
    sink.slow_s = 0.0


def down(field: Field, fault: Fault) -> None:
    sink = field.sinks[fault.detail["sink"]]
    field.ward.sinks.call(sink.stop())
    time.sleep(fault.for_s)
    field.ward.sinks.call(sink.start())


def reset(field: Field, fault: Fault) -> None:
    for cabinets in field.cabinets:
        cabinets.resetting = fault.detail["share"]
    time.sleep(fault.for_s)
    for cabinets in field.cabinets:
        cabinets.resetting = 0.0


def poison(field: Field, fault: Fault) -> None:
    never = field.sinks[fault.detail["sink"]].never
    never.add(fault.detail["account"])
    time.sleep(fault.for_s)
    never.clear()


STRIKES: Mapping[str, Callable[[Field, Fault], Any]] = {
    "kill": kill,
    "restart": restart,
    "freeze": freeze,
    "channel": verb,
    "reload": verb,
    "second": second,
    "stall": stall,
    "disk": disk,
    "backends": backends,
    "server": server,
    "lies": lies,
    "slow": slow,
    "down": down,
    "reset": reset,
    "poison": poison,
}
