"""The simulated systems: what they take once, what they refuse, and how they fail when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from suture.sim import faults
from suture.sim.analytics import Analytics
from suture.sim.billing import Billing
from suture.sim.cabinet import Cabinet, Sent
from suture.sim.erp import Erp
from suture.sim.world import World
from suture.wire.hl7v2.text import er7

ISSUE = {"ItemNumber": "A", "TransactionQuantity": "-2", "SourceHeaderId": "e1"}


def dft(control_id: str, transaction: str, amount: str = "12.50", kind: str = "CG") -> bytes:
    return f"MSH|^~\\&|A|B|C|D|2026||DFT^P03|{control_id}|P|2.5\rFT1|1|{transaction}||||{kind}|||||{amount}\r".encode()


@asynccontextmanager
async def world(items: frozenset[str] = frozenset()) -> AsyncIterator[tuple[World, aiohttp.ClientSession]]:
    w = World(0, 0, 0, 0, items)
    await w.open()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            yield w, session
    finally:
        await w.close()


def played(play: Callable[[World, aiohttp.ClientSession], Awaitable[Any]], items: frozenset[str] = frozenset()) -> Any:
    async def run() -> Any:
        async with world(items) as (w, session):
            return await play(w, session)

    return asyncio.run(run())


async def post(w: World, session: aiohttp.ClientSession, path: str, body: Any, system: str = "erp") -> tuple[int, Any]:
    async with session.post(f"http://127.0.0.1:{w.ports[system]}{path}", json=body, headers={"Idempotency-Key": "k"}) as answer:
        return answer.status, await answer.json() if answer.content_type == "application/json" else None


async def outcome(w: World, session: aiohttp.ClientSession, body: Any = ISSUE) -> int | str:
    """Status of one post to the ERP, or "broken" when there was no answer."""
    try:
        return (await post(w, session, "/inventory", body))[0]
    except aiohttp.ClientError:
        return "broken"


def test_the_erp_gives_each_event_one_document() -> None:
    erp = Erp()
    assert erp.take("inventory", ISSUE, "") == (201, {"document": "4900000001"})
    assert erp.take("inventory", ISSUE, "other") == (200, {"document": "4900000001", "repeated": True})
    assert erp.take("inventory", {**ISSUE, "SourceHeaderId": "e2"}, "")[1] == {"document": "4900000002"}
    assert erp.stats()["inventory"] == 2
    assert erp.stats()["repeated"] == 1


def test_the_erp_goes_by_the_idempotency_key_where_there_is_no_event_id() -> None:
    erp, body = Erp(), {"ItemNumber": "A", "TransactionQuantity": "1"}
    assert erp.take("inventory", body, "k1")[0] == 201
    assert erp.take("inventory", body, "k1")[0] == 200
    assert erp.take("inventory", body, "k2")[0] == 201


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({**ISSUE, "ItemNumber": "ZZ"}, "ZZ does not exist"),
        ({**ISSUE, "ItemNumber": ""}, "ItemNumber is missing"),
        ([], "ItemNumber is missing"),
        ({**ISSUE, "TransactionQuantity": "some"}, "not a number"),
        ({**ISSUE, "TransactionQuantity": "0"}, "zero"),
    ],
)
def test_the_erp_rejects_what_it_cannot_post(body: Any, text: str) -> None:
    erp = Erp({"A"})
    status, answer = erp.take("inventory", body, "k")
    assert status == 422
    assert text in answer["error"]
    assert not erp.documents


def test_requisitions_have_numbers_of_their_own() -> None:
    erp = Erp()
    status, answer = erp.take("requisitions", {"ItemNumber": "A", "RequestedQuantity": "40", "SourceHeaderId": "e1"}, "")
    assert (status, answer["document"]) == (201, "1000000001")


def test_the_erp_goes_away_and_comes_back_on_its_port() -> None:
    async def play(w: World, session: aiohttp.ClientSession) -> None:
        assert await outcome(w, session) == 201
        await post(w, session, "/erp/down", {"mode": "refuse"}, "control")
        assert await outcome(w, session) == "broken"
        await post(w, session, "/erp/up", None, "control")
        assert await outcome(w, session) == 200
        await post(w, session, "/erp/down", {"mode": "503"}, "control")
        assert await outcome(w, session) == 503
        await post(w, session, "/erp/up", None, "control")
        assert await outcome(w, session) == 200

    played(play)


def test_the_erp_plays_its_faults_one_a_request() -> None:
    script = [{"answer": "429"}, {"reset": "lost"}, {"reset": "taken"}, {"wait_s": 0.01}]

    async def play(w: World, session: aiohttp.ClientSession) -> list[int | str]:
        assert (await post(w, session, "/erp/faults", script, "control"))[0] == 200
        return [await outcome(w, session) for _ in range(5)]

    assert played(play) == [429, "broken", "broken", 200, 200]


def test_a_fault_that_nobody_knows_is_refused_with_what_there_is() -> None:
    async def play(w: World, session: aiohttp.ClientSession) -> None:
        status, answer = await post(w, session, "/erp/faults", [{"explode": 1}], "control")
        assert status == 400
        assert "wait_s" in answer["error"]
        assert (await post(w, session, "/erp/down", {"mode": "slowly"}, "control"))[0] == 400
        assert (await post(w, session, "/billing/nack", {}, "control"))[0] == 400

    played(play)


def test_billing_charges_a_control_id_once_and_sees_a_charge_that_comes_twice() -> None:
    async def play(w: World, session: aiohttp.ClientSession) -> Any:
        cabinet = Cabinet("127.0.0.1", w.ports["billing"])
        for raw in (dft("1", "T1"), dft("1", "T1"), dft("2", "T2"), dft("3", "T1"), dft("4", "T1", "2.50", "CD")):
            assert await cabinet.send(raw) == Sent("AA", 1)
        await cabinet.close()
        return w.stats()["billing"]

    stats = played(play)
    assert stats["repeated"] == 1
    assert stats["doubled"] == ["T1"]
    assert stats["charges"] == 4
    assert stats["amount"] == "35.00"


def test_billing_refuses_the_charges_it_is_told_to_refuse() -> None:
    async def play(w: World, session: aiohttp.ClientSession) -> Any:
        await post(w, session, "/billing/nack", {"transactions": ["T9"], "code": "AE"}, "control")
        cabinet = Cabinet("127.0.0.1", w.ports["billing"])
        codes = [(await cabinet.send(raw)).code for raw in (dft("1", "T9"), dft("2", "T1"), b"noise")]
        await cabinet.close()
        return codes, w.stats()["billing"]

    codes, stats = played(play)
    assert codes == ["AE", "AA", "AE"]
    assert stats["refused"] == 1
    assert stats["unreadable"] == 1
    assert stats["transactions"] == 1


def test_a_cabinet_sends_again_until_it_has_an_answer() -> None:
    async def play(w: World, session: aiohttp.ClientSession) -> Any:
        w.billing.script.add(faults.read([{"reset": "taken"}, {"silence": "lost"}, {"answer": "AR"}]))
        cabinet = Cabinet("127.0.0.1", w.ports["billing"], ack_timeout_s=0.2, pause_s=0.01)
        sent = await cabinet.send(dft("1", "T1"))
        await cabinet.close()
        return sent, w.stats()["billing"]

    sent, stats = played(play)
    assert sent == Sent("AA", 4)
    assert stats["charges"] == 1
    assert stats["repeated"] == 1


def test_a_cabinet_gives_up_when_nobody_is_there() -> None:
    async def play(w: World, session: aiohttp.ClientSession) -> Sent:
        await w.billing.close()
        return await Cabinet("127.0.0.1", w.ports["billing"], patience_s=0.05, pause_s=0.01).send(dft("1", "T1"))

    assert played(play).code == ""


def test_analytics_counts_each_id_once() -> None:
    sink = Analytics()
    assert sink.take([{"id": "1", "type": "supply.used"}, {"id": "2", "type": "charge.raised"}])
    assert sink.take({"id": "1", "type": "supply.used"})
    assert not sink.take([{"type": "no id"}])
    assert not sink.take("text")
    assert sink.stats() == {"events": 2, "by_type": {"charge.raised": 1, "supply.used": 1}, "repeated": 1}


def test_analytics_over_http_answers_204_or_400() -> None:
    async def play(w: World, session: aiohttp.ClientSession) -> list[int]:
        bodies = [[{"id": "1", "type": "t"}], [{"id": ""}]]
        return [(await post(w, session, "/events", body, "analytics"))[0] for body in bodies]

    assert played(play) == [204, 400]


def test_the_control_port_tells_what_everybody_has_counted() -> None:
    async def play(w: World, session: aiohttp.ClientSession) -> Any:
        async with session.get(f"http://127.0.0.1:{w.ports['control']}/stats") as answer:
            return await answer.json()

    assert set(played(play)) == {"erp", "billing", "analytics"}


def test_faults_are_read_from_data() -> None:
    rows = [{"answer": "503"}, {"wait_s": "2"}, {"silence": "taken"}, {"reset": "lost"}]
    assert faults.read(rows) == [faults.Answer("503"), faults.Wait(2.0), faults.Silence(True), faults.Reset(False)]
    for wrong in ("text", [1], [{"silence": "maybe"}], [{"answer": "1", "wait_s": 1}]):
        with pytest.raises(ValueError):
            faults.read(wrong)


def test_billing_takes_a_message_without_an_amount() -> None:
    billing = Billing()
    assert billing.take(er7.Message.parse(dft("1", "T1", ""))) == "AA"
    assert billing.stats()["amount"] == "0"
