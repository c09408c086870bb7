"""Rows for tests of what reads the store: each function adds one, with the rest filled in plausibly."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select

from suture.model import made as makes
from suture.model.made import KeptEvent, Made
from suture.store import content, dialect, tables
from suture.store import search as searching

NOW_US = 1_772_640_000_000_000
"""2026-03-04T16:00:00Z"""
SECOND_US = 1_000_000


class Store:
    """Adds rows to a migrated database. Messages are a second apart, the newest at NOW_US or later."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._messages = count(1)
        self._deliveries = count(1)

    def _insert(self, table: Any, values: dict[str, Any]) -> None:
        with dialect.writing(self.engine) as connection:
            connection.execute(insert(table).values(**values))

    def message(
        self, state: str = "processed", raw: bytes = b"MSH|^~\\&|CAB|GENERAL\r", search: dict[str, str] | None = None, **more: Any
    ) -> int:
        """A message with its body and search keys."""
        number = more.pop("id", None) or next(self._messages)
        received = more.pop("received_at_us", NOW_US + number * SECOND_US)
        done = None if state == "received" else received + 2000
        values = {
            "channel": "or-supply",
            "control_id": f"CAB{number:06d}",
            "type": "DFT^P03",
            "sender": "CAB|GENERAL",
            "peer": "127.0.0.1:40000",
        }
        times = {"received_at_us": received, "processed_at_us": done}
        self._insert(tables.received, {"id": number, "state": state, "size_bytes": len(raw), **times, **values, **more})
        self._insert(tables.message_body, {"message_id": number, "raw": raw})
        for kind, value in (search or {}).items():
            self.key(number, kind, value)
        return number

    def key(self, message_id: int, kind: str, value: str) -> None:
        """Something a message is found by."""
        with dialect.writing(self.engine) as connection:
            searching.add(connection, [(message_id, searching.hashes_of([(kind, value)]))])

    def event(self, message_id: int, number: int = 0, state: str = "raised", data: dict[str, Any] | None = None, **more: Any) -> None:
        """A canonical event."""
        body = json.dumps(data or {"item": "IMP-4471", "patient": "MRN-SECRET"}).encode()
        values = {
            "type": "supply.used",
            "line": number + 1,
            "key": f"CAB|{message_id}|{number}",
            "revision": 0,
            "event_id": f"e{message_id}-{number}",
        }
        values |= {"number": number, "state": state, "body": body, **more}
        self._make(message_id, values.pop("revision"), KeptEvent(**values))

    def _make(self, message_id: int, revision: int, event: KeptEvent) -> None:
        m = tables.made.c
        which = (m.message_id == message_id, m.revision == revision, m.part == 0)
        with dialect.writing(self.engine) as connection:
            kept = connection.execute(select(m.coding, m.body).where(*which)).first()
            before = content.opened(connection, *kept).events if kept else ()
            connection.execute(delete(tables.made).where(*which))
        self._keep(message_id, revision, 0, Made([*before, event]))

    def _keep(self, message_id: int, revision: int, part: int, made: Made) -> None:
        coding, body = content.plain(makes.write(made))
        keys = {"message_id": message_id, "revision": revision, "part": part}
        self._insert(tables.made, {**keys, "events": makes.counted(made.events), "coding": coding, "body": body})

    def claim(self, key: str, message_id: int) -> None:
        """A business key that is taken."""
        self._insert(tables.claim, {"key": key, "message_id": message_id, "claimed_at_us": NOW_US})

    def delivery(self, message_id: int, destination: str = "erp", state: str = "accepted", body: bytes = b"{}", **more: Any) -> int:
        """A delivery with its body."""
        number = more.pop("id", None) or next(self._deliveries)
        made = NOW_US + message_id * SECOND_US + 3000
        accepted = made + 5000 if state in ("accepted", "posted") else None
        posted = accepted if state == "posted" else None
        key = f"{message_id}-{destination}"
        values = {"channel": "or-supply", "lane": "ACCOUNT-SECRET", "idempotency_key": key, "events": "0", "attempts": 1}
        times = {"created_at_us": made, "updated_at_us": made + 5000, "accepted_at_us": accepted, "posted_at_us": posted}
        of_it = {"id": number, "message_id": message_id, "destination": destination, "state": state}
        of_it |= {"part": self._free_part(message_id), "payload": 0, "size_bytes": len(body)}
        self._insert(tables.queued, of_it | values | times | more)
        self._keep(message_id, 0, of_it["part"], Made(payloads=[body]))
        return number

    def _free_part(self, message_id: int) -> int:
        with self.engine.connect() as connection:
            return (
                connection.execute(select(func.max(tables.made.c.part)).where(tables.made.c.message_id == message_id)).scalar() or 0
            ) + 1

    def attempt(self, delivery_id: int, number: int = 1, outcome: str = "accepted", **more: Any) -> None:
        """One try of a delivery."""
        began = NOW_US + 100 * SECOND_US + number * SECOND_US
        values = {"started_at_us": began, "ended_at_us": began + 4500, "code": "200", "reason": "", "response": b"ANSWER-SECRET"}
        self._insert(tables.attempt, {"delivery_id": delivery_id, "number": number, "outcome": outcome, **values, **more})

    def exception(self, message_id: int, **more: Any) -> None:
        """Something that waits for a person."""
        values = {"channel": "or-supply", "stage": "map", "code": "UNKNOWN_CODE", "line": 1, "field": "item", "path": "FT1-7.1"}
        about = {"table_name": "item_master", "value": "ZZ-999", "reason": "no row", "opened_at_us": NOW_US + message_id * SECOND_US + 2000}
        self._insert(tables.exception, {"message_id": message_id, **values, **about, **more})

    def sequence_number(self, channel: str, direction: str, partner: str, number: int | None, delivery_id: int | None = None) -> None:
        """A number of the sequence number protocol."""
        keys = {"channel": channel, "direction": direction, "partner": partner}
        self._insert(tables.sequence_number, {**keys, "number": number, "delivery_id": delivery_id, "updated_at_us": NOW_US})

    def engine_fact(self, name: str, value: Any, at_us: int) -> None:
        """A fact about the running engine."""
        self._insert(tables.engine_state, {"name": name, "value": str(value), "updated_at_us": at_us})

    def channel(self, name: str = "or-supply", desired: str = "running", actual: str = "running", reason: str = "") -> None:
        """What the engine says of a channel."""
        values = {"channel": name, "desired": desired, "actual": actual, "reason": reason, "updated_at_us": NOW_US}
        self._insert(tables.channel_state, values)

    def destination(self, destination: str = "erp", state: str = "ok", **more: Any) -> None:
        """What the engine says of a destination."""
        values = {"channel": "or-supply", "since_us": NOW_US, "next_try_us": 0, "reason": "", "updated_at_us": NOW_US}
        self._insert(tables.destination_state, {"destination": destination, "state": state} | values | more)
