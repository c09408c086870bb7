"""The surgical day: every message that the cabinets send, in order, with what should come of it. The same seed, the same day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from suture.sim import people
from suture.sim.catalogue import Catalogue, Item
from suture.sim.dft import Case, Line, Scan, line_of, write

CABINETS = 4
FIRST, LAST = timedelta(hours=7), timedelta(hours=17, minutes=30)
UNKNOWN_ITEM = "ZZ-999"
GARBAGE = b"\x02STATION 3 SELFTEST\x03 0xA7 \xff\xfe LINK NOISE *** "
SPECIALS = 9
"""Messages of their own kind among the ordinary ones."""
FEWEST = 20


@dataclass(frozen=True, slots=True)
class Sending:
    """One frame for the wire. cabinet: which connection sends it; the frames of one cabinet keep their order."""

    cabinet: int
    raw: bytes = field(repr=False)


@dataclass(slots=True)
class Phase:
    """A part of the day. action: what happens in the world when it begins: erp_down, erp_up, billing_nack or nothing."""

    at: str
    title: str
    action: str = ""
    sendings: list[Sending] = field(default_factory=list)


@dataclass(slots=True)
class Expected:
    """What the day holds, by construction. Lines are FT1 segments; the lines of a repeated message count for nothing."""

    messages: int = 0
    unreadable: int = 0
    repeated: int = 0
    lines: int = 0
    filtered: int = 0
    gaps: int = 0
    duplicates: int = 0
    credits: int = 0
    nacked: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Day:
    """All phases, and what should come of them."""

    phases: list[Phase]
    expected: Expected


def plan(catalogue: Catalogue, rng: Random, day: date, messages: int) -> Day:
    """A day of exactly that many messages. Raises ValueError for fewer than FEWEST."""
    if messages < FEWEST:
        raise ValueError(f"a surgical day needs at least {FEWEST} messages")
    return _Planner(catalogue, rng, day, messages).plan()


class _Planner:
    """Builds the day. Numbers (control ids, transactions) count up; everything else comes from the catalogue and rng."""

    def __init__(self, catalogue: Catalogue, rng: Random, day: date, messages: int) -> None:
        self.catalogue, self.rng, self.day, self.messages = catalogue, rng, day, messages
        rooms = sorted(catalogue.rooms, key=lambda room: (room[:2], int(room[2:])))
        self.cases = [people.case(rng, n, rooms[n % len(rooms)], day) for n in range(1, messages // 6 + 1)]
        self.expected = Expected()
        self.sent = 0
        self.transactions = 0
        self.scans: list[Scan] = []

    def plan(self) -> Day:
        ordinary = self.messages - SPECIALS
        shares = [ordinary * part // 100 for part in (24, 26, 14, 12, 10)]
        shares.append(ordinary - sum(shares))
        phases = [
            self._phase("07:00", "first cases; the cabinets send what is scanned", shares[0], self._morning),
            self._phase("09:30", "the ERP goes down for maintenance; the rooms work on", shares[1], action="erp_down"),
            self._phase("11:30", "the ERP is back; what has waited goes out in order", shares[2], action="erp_up"),
            self._phase("12:45", "billing refuses an account that is closed to charges", shares[3], self._noon, "billing_nack"),
            self._phase("14:00", "a cabinet restarts and repeats itself; a line is noisy", shares[4], self._repeats),
            self._phase("15:30", "last cases", shares[5]),
        ]
        return Day(phases, self.expected)

    def _phase(self, at: str, title: str, count: int, special: Callable[[], list[Sending]] | None = None, action: str = "") -> Phase:
        sendings = [self._ordinary() for _ in range(count)]
        for sending in special() if special else []:
            sendings.insert(self.rng.randint(len(sendings) // 2, len(sendings)), sending)
        return Phase(at, title, action, sendings)

    # What the messages are -------------------------------------------------------------------------------------------

    def _morning(self) -> list[Sending]:
        """A return, an item that is never charged, a box where singles are stocked, and a payment."""
        patient, implant = self._find(lambda item: item.implant)
        other, plain = self._find(lambda item: not item.chargeable)
        third, boxed = self._find(lambda item: item.number.startswith("SUT"))
        payment = Line(self._transaction(), "PMT-CASH", "PATIENT PAYMENT", "", "1", kind="PY")
        self.expected.credits += 1
        self.expected.filtered += 1
        return [
            self._send(self._scan(patient, [self._line(implant, "1", kind="CD")])),
            self._send(self._scan(other, [self._line(plain, "2")])),
            self._send(self._scan(third, [self._line(boxed, "1", "BX"), self._line(boxed, "3", "EA")])),
            self._send(self._scan(other, [self._line(plain, "1"), payment])),
        ]

    def _noon(self) -> list[Sending]:
        """A charge that billing will refuse for good."""
        case, item = self._find(lambda item: item.implant and item.cost > 100)
        line = self._line(item, "1")
        self.expected.nacked.append(line.transaction)
        return [self._send(self._scan(case, [line]))]

    def _find(self, wanted: Callable[[Item], bool]) -> tuple[Case, Item]:
        """A case under way now, and an item that is wanted and on its room's shelf."""
        return next((case, item) for case in self._open_cases() for item in self._shelf(case) if wanted(item))

    def _repeats(self) -> list[Sending]:
        """The same bytes again, the same charges under a new control id, noise, and an item that nobody knows."""
        renamed, same = self._charged()
        unknown = Line(self._transaction(), UNKNOWN_ITEM, "TRIAL ITEM VENDOR SAMPLE", "", "1")
        case = self._open_cases()[0]
        lines = self._lines(self._shelf(case), 2)
        sendings = [
            self._repeat(same),
            self._send(renamed.again(self._control_id()), lines=0),
            self._garbage(),
            self._send(self._scan(case, [*lines, unknown])),
        ]
        self.expected.duplicates += len(renamed.lines)
        self.expected.lines += len(renamed.lines)
        self.expected.gaps += 1
        return sendings

    def _charged(self) -> list[Scan]:
        """Two ordinary messages of the morning, the first with a charge in it."""
        items = self.catalogue.items
        first = next((scan for scan in self.scans if any(items[line.item].chargeable for line in scan.lines)), self.scans[0])
        return [first, next(scan for scan in self.scans if scan is not first)]

    def _ordinary(self) -> Sending:
        case = self.rng.choice(self._open_cases())
        scan = self._scan(case, self._lines(self._shelf(case), self.rng.randint(2, 6)))
        self.scans.append(scan)
        return self._send(scan)

    def _open_cases(self) -> list[Case]:
        """The cases under way now: a window that moves over the day."""
        width = min(12, len(self.cases))
        start = (len(self.cases) - width) * self.sent // self.messages
        return self.cases[start : start + width]

    # How they are built ----------------------------------------------------------------------------------------------

    def _shelf(self, case: Case) -> list[Item]:
        return self.catalogue.shelves[self.catalogue.rooms[case.room]]

    def _lines(self, shelf: list[Item], count: int) -> list[Line]:
        picked: dict[str, Item] = {}
        weights = [_weight(item) for item in shelf]
        while len(picked) < min(count, len(shelf)):
            item = self.rng.choices(shelf, weights)[0]
            picked[item.number] = item
        return [self._line(item, str(_quantity(self.rng, item))) for item in picked.values()]

    def _line(self, item: Item, quantity: str, unit: str = "", kind: str = "CG") -> Line:
        return line_of(self._transaction(), item, quantity, unit or item.unit, kind, self.rng.choice(people.STAFF))

    def _scan(self, case: Case, lines: Sequence[Line]) -> Scan:
        at = datetime.combine(self.day, datetime.min.time()) + FIRST + (LAST - FIRST) * self.sent / self.messages
        modern = int(case.room[2:]) % 3 != 0 or any(line.unit == "BX" for line in lines)
        return Scan(case, self._control_id(), at, lines, modern)

    def _control_id(self) -> str:
        self.sent += 1
        return f"POU{self.day:%y%m%d}{self.sent:05d}"

    def _transaction(self) -> str:
        self.transactions += 1
        return f"U{self.day:%y%m%d}{self.transactions:06d}"

    def _send(self, scan: Scan, lines: int | None = None) -> Sending:
        self.expected.messages += 1
        self.expected.lines += len(scan.lines) if lines is None else lines
        return Sending(_cabinet(scan.case), write(scan))

    def _repeat(self, scan: Scan) -> Sending:
        self.sent += 1
        self.expected.messages += 1
        self.expected.repeated += 1
        return Sending(_cabinet(scan.case), write(scan))

    def _garbage(self) -> Sending:
        self.sent += 1
        self.expected.messages += 1
        self.expected.unreadable += 1
        return Sending(0, GARBAGE)


def _cabinet(case: Case) -> int:
    return int(case.room[2:]) % CABINETS


def _weight(item: Item) -> float:
    """How often an item is used beside the others of its shelf: the cheap ones all the time."""
    return 6.0 if item.cost < 10 else 3.0 if item.cost < 100 else 1.2 if item.cost < 1000 else 0.5


def _quantity(rng: Random, item: Item) -> int:
    if item.implant or item.cost >= 50:
        return 1
    return rng.randint(1, 4) if item.cost < 10 else rng.randint(1, 2)
