"""The store that is looked at holds what W1 leaves there, and what is looked for is found."""

import pytest
from sqlalchemy import func, select

from bench import looking, main, options, stored
from bench.template import control_id
from suture.model import states
from suture.store import content, dialect, queries, schema
from suture.store.engine import open_engine
from suture.store.queries import ExceptionFilter, MessageFilter
from suture.store.tables import attempt, claim
from suture.store.views import delivery, message

COUNT = 2 * stored.EXCEPTION_EVERY + 10


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('looking') / 'bench.db'}"
    assert stored.fill(url, COUNT, lambda text: None) > 0
    return url


@pytest.fixture
def store(url):
    database = open_engine(url, site=None, create=False)
    schema.check(database)
    with dialect.reading(database) as connection:
        yield connection
    database.dispose()


def test_each_message_is_delivered_but_for_one_in_a_thousand_that_waits(store):
    assert store.execute(select(func.count()).select_from(message)).scalar() == COUNT
    waiting = queries.exceptions(store, ExceptionFilter())
    assert [(each.code, each.value) for each in waiting] == [("UNKNOWN_CODE", stored.items_of(n)[0]) for n in (2000, 1000, 0)]
    assert {row.state for row in store.execute(select(delivery.c.state))} == {states.ACCEPTED}
    for table in (delivery, attempt):
        assert store.execute(select(func.count()).select_from(table)).scalar() == COUNT - len(waiting)
    assert store.execute(select(func.count()).select_from(claim)).scalar() == 3 * (COUNT - len(waiting))
    wanted = (("patient", stored.patient_of(77)), ("account", stored.account_of(77)), ("item", stored.items_of(77)[0]))
    assert all(queries.messages(store, MessageFilter(find=((kind, value),))) for kind, value in wanted)


def test_a_message_holds_what_it_is_found_by(store):
    (found,) = queries.messages(store, MessageFilter(control_id=control_id(77).decode()))
    raw, payload = content.raw(store, found.id), content.payload(store, found.id - 1)  # the first message has no delivery
    assert f"|{stored.account_of(77)}^".encode() in raw
    assert f"|{stored.patient_of(77)}^".encode() in raw
    assert control_id(77) in payload
    assert b"{" not in raw


def test_an_account_has_twenty_messages_and_a_patient_forty():
    numbers = range(2 * stored.OPEN_ACCOUNTS * stored.STAY)
    assert sum(stored.account_of(n) == stored.account_of(17) for n in numbers) == stored.STAY
    assert sum(stored.patient_of(n) == stored.patient_of(17) for n in numbers) == 2 * stored.STAY


def test_everything_is_found_but_what_is_not_there(url):
    found = looking.in_store(url, COUNT)
    assert {"patient", "account", "item", "control id"} < set(found)
    assert all(0 < one["median"] <= one["max"] for one in found.values())


def test_a_table_compares_a_large_store_with_a_small_one():
    small = {"count": 100, "fill_s": 1.0, "bytes": 100_000, "in_store_ms": {"account": {"median": 1.0, "max": 2.0}}}
    small |= {"shell_s": {"status": 0.2}}
    large = small | {"count": 10_000, "fill_s": 2.0, "bytes": 11_000_000, "in_store_ms": {"account": {"median": 3.5, "max": 9.0}}}
    result = {"kind": "looking", "engine": "suture", "database": "sqlite", "small": small, "large": large}
    lines = main.text({"runs": [result], "comparisons": []}).splitlines()
    assert lines[2].split() == ["sqlite", "in", "the", "store,", "by", "account", "1.0", "3.5", "3.5", "9.0"]
    assert lines[3].split() == ["sqlite", "suture", "status", "200", "200", "1.0"]
    assert lines[4] == "sqlite: filled with 5,000 messages/s, 1,100 bytes a message"


def test_two_million_messages_are_the_rule():
    assert (options.parse(["--looking"]).looking, options.parse(["--looking"]).database) == (2_000_000, ("sqlite", "postgresql"))
