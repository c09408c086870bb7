"""Backups of a store: what is in them, who may read them, and what a restore makes of them, on both databases."""

from __future__ import annotations

import os
import random
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from suture.model.errors import StoreError
from suture.store import after_restore, backup, copying, dialect, orders, restore, schema, soundness, state, tables, views
from suture.store.after_restore import Restoring
from suture.store.archive import MANIFEST, Backup, Manifest
from suture.store.engine import open_engine
from suture.store.past import expected_numbers, last_sent
from suture.store.queries import AuditFilter
from suture.store.sequences import Sequences
from tests.filling import NOW_US, SECOND_US, Store

MINUTE_US = 60 * SECOND_US
ODD = b"\x0bMSH|^~\\&|\xff\xfe\x00\r\n\"',[]{}\x1c"


def silent(name: str, rows: int, size_bytes: int) -> None:
    pass


@pytest.fixture
def store(engine_db: Engine) -> Store:
    return Store(engine_db)


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Another database, empty, of each kind."""
    url = f"sqlite:///{tmp_path / 'other.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    engine = open_engine(url, site=None)
    yield engine
    engine.dispose()


def fill(store: Store) -> None:
    """A day: messages of every kind, with values that are hard to keep."""
    for number in range(1, 30):
        message = store.message(raw=ODD if number % 3 else "Jérôme ✓".encode(), search={"patient": f"P{number}"})
        store.event(message)
        store.claim(f"key \\ {number} é", message)
        delivery = store.delivery(message, body=ODD, document=None)
        store.attempt(delivery)
    store.exception(1)
    store.message("received")
    for is_in in ("queued", "in_flight", "retrying", "held", "dead", "refused", "skipped"):
        store.delivery(1, is_in, is_in, next_at_us=NOW_US + 5)
    store.channel()
    store.engine_fact("heartbeat_us", 1, NOW_US)
    store.sequence_number("or-supply", "in", "CAB", 17)
    store.sequence_number("or-supply", "out", "lab", 17, 3)
    with dialect.writing(store.engine) as connection:
        orders.order(connection, "resend", {"delivery_ids": [1], "reason": "x"}, "cli:nurse", NOW_US)


def made(store: Store, path: Path, files: dict[str, Path] | None = None, **more: Any) -> Manifest:
    return backup.make(store.engine, path, backup.Origin("1.2.3", "General", "cli:nurse", files or {}), silent, **more)


def content(engine: Engine, names: set[str] | None = None) -> dict[str, list[Any]]:
    with dialect.reading(engine) as connection:
        return {
            shape.name: [shape.columns, *copying.unload(connection, shape)]
            for shape in copying.shapes(connection)
            if names is None or shape.name in names
        }


def restored(engine: Engine, path: Path, now_us: int = 0, send: bool = False) -> tuple[after_restore.Held, str]:
    found = Backup(path)
    try:
        restore.require_readable(found, silent)
        what = Restoring(found.manifest.began_us, now_us or found.manifest.began_us + MINUTE_US, "cli:nurse", "disk", path.name, send)
        return restore.restore(engine, found, what, silent)
    finally:
        found.close()


def one(engine: Engine, statement: Any) -> Any:
    with dialect.reading(engine) as connection:
        return connection.execute(statement).scalar()


UNTOUCHED = {
    *("message_body", "made", "dictionary", "claim", "attempt", "search_index", "stock", "channel_state", "destination_state"),
    *("sending", "signature"),
}


def test_every_row_comes_back_in_a_database_of_either_kind(store: Store, other: Engine, tmp_path: Path) -> None:
    fill(store)
    before = content(store.engine, UNTOUCHED)
    manifest = made(store, tmp_path / "b.zip")
    assert (manifest.rows("received"), manifest.rows("queued"), manifest.site, manifest.schema) == (30, 36, "General", schema.HEAD)
    restored(other, tmp_path / "b.zip", send=True)
    assert content(other, UNTOUCHED) == before
    assert list(soundness.problems(other, False, lambda text: None)) == []
    with dialect.writing(other) as connection:  # numbers of its own go on
        assert orders.order(connection, "resend", {}, "x", 1) > 1


def test_a_backup_is_its_owner_s_alone_and_replaces_nothing_unasked(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    before = os.umask(0)
    try:
        made(store, path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    was = path.read_bytes()
    with pytest.raises(StoreError, match="is there already"):
        made(store, path)
    assert path.read_bytes() == was
    made(store, path, replace=True)
    assert path.read_bytes() != was and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir() if "b.zip" in p.name) == ["b.zip"]


def test_a_file_that_came_meanwhile_is_not_replaced(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"

    def late(name: str, rows: int, size_bytes: int) -> None:
        path.write_text("somebody else's")

    with pytest.raises(StoreError, match="is there already"):
        backup.make(store.engine, path, backup.Origin("1", "General", "me", {}), late)
    assert path.read_text() == "somebody else's"
    assert [p.name for p in tmp_path.iterdir() if "unfinished" in p.name] == []


def test_a_backup_that_fails_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        made(store, tmp_path / "b.zip", {"conf/base.yaml": tmp_path / "gone"})
    with pytest.raises(StoreError, match="No such file"):
        made(store, tmp_path / "no" / "b.zip")
    assert [p.name for p in tmp_path.iterdir() if "b.zip" in p.name] == []


def test_the_backup_is_of_one_instant_while_others_write(store: Store, tmp_path: Path) -> None:
    ending = threading.Event()

    def write() -> None:
        for number in range(1000, 100_000):
            if ending.is_set():
                return
            with dialect.writing(store.engine) as connection:  # a message and its body, together
                values = {"id": number, "channel": "c", "received_at_us": 1, "state": "processed", "control_id": "", "type": ""}
                connection.execute(tables.received.insert().values(**values, sender="", peer="", size_bytes=1))
                connection.execute(tables.message_body.insert().values(message_id=number, raw=b"x"))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not one(store.engine, select(views.message.c.id).limit(1)):
            pass
        manifests = [made(store, tmp_path / f"{n}.zip") for n in range(4)]
    finally:
        ending.set()
        writer.join()
    assert all(m.rows("received") == m.rows("message_body") > 0 for m in manifests)
    assert manifests[0].rows("received") < manifests[-1].rows("received")
    for number in range(4):
        found = Backup(tmp_path / f"{number}.zip")
        restore.try_out(tmp_path / f"trial-{number}.db", found, silent)


def test_what_was_damaged_or_cut_off_is_refused(store: Store, tmp_path: Path) -> None:
    fill(store)
    whole = tmp_path / "b.zip"
    made(store, whole)
    raw, places = whole.read_bytes(), random.Random(7)
    for _ in range(200):
        bad = bytearray(raw)
        bad[places.randrange(len(raw))] ^= 1 << places.randrange(8)
        assert _told(tmp_path, bytes(bad)) or _same(tmp_path, raw, bytes(bad))
    for size in (0, 1, 100, len(raw) // 2, len(raw) - 1):
        assert _told(tmp_path, raw[:size])


def _told(tmp_path: Path, raw: bytes) -> bool:
    path = tmp_path / "bad.zip"
    path.write_bytes(raw)
    try:
        found = Backup(path)
        restore.require_readable(found, silent)
    except StoreError as error:
        return any(word in str(error) for word in ("damaged", "schema", "newer", "cannot be read"))
    return False


def _same(tmp_path: Path, raw: bytes, bad: bytes) -> bool:
    """A bit that says nothing (a time, a mark of the ZIP format) may be another one: the content is the same."""
    with zipfile.ZipFile(tmp_path / "b.zip") as good, zipfile.ZipFile(tmp_path / "bad.zip") as other:
        return all(good.read(name) == other.read(name) for name in good.namelist() if name != MANIFEST)


def test_a_member_that_is_missing_or_too_many_is_told(store: Store, tmp_path: Path) -> None:
    made(store, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as old, zipfile.ZipFile(tmp_path / "c.zip", "w") as new:
        for name in old.namelist():
            if name != "store/claim":
                new.writestr(name, old.read(name))
        new.writestr("site/evil.py", b"x")
    assert Backup(tmp_path / "c.zip").check(silent) == ["store/claim is missing", "site/evil.py is not in the manifest"]


@pytest.mark.parametrize(
    ("old", "new", "said"), [('"format": 1', '"format": 2', "newer Suture"), (f'"{schema.HEAD}"', '"9999"', "does not know")]
)
def test_a_backup_of_a_newer_suture_is_refused(store: Store, tmp_path: Path, old: str, new: str, said: str) -> None:
    made(store, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as given, zipfile.ZipFile(tmp_path / "c.zip", "w") as changed:
        for name in given.namelist():
            changed.writestr(name, given.read(name) if name != MANIFEST else given.read(name).decode().replace(old, new))
    before = content(store.engine)
    with pytest.raises(StoreError, match=said):
        restored(store.engine, tmp_path / "c.zip")
    assert content(store.engine) == before


def test_what_waited_is_held_and_what_was_not_processed_is_parked(store: Store, tmp_path: Path) -> None:
    fill(store)
    made(store, tmp_path / "b.zip")
    held, _ = restored(store.engine, tmp_path / "b.zip")
    assert (held.deliveries, held.messages) == (3, 1)
    d, m, e = views.delivery.c, views.message.c, tables.exception.c
    with dialect.reading(store.engine) as connection:
        waited = connection.execute(select(d).where(d.destination.in_(["queued", "in_flight", "retrying"])).order_by(d.id)).all()
        told = connection.execute(select(e).where(e.code == "RESTORED").order_by(e.id)).all()
        other = connection.execute(select(d.destination, d.state).where(d.destination.in_(["held", "dead", "refused", "skipped"]))).all()
        message = connection.execute(select(m).where(m.id == 30)).one()
        line = orders.audited(connection, AuditFilter(limit=1))[0]
    assert {(row.state, row.next_at_us) for row in waited} == {("held", 0)}
    assert all("restored from the backup of 20" in row.reason and "may have been sent since" in row.reason for row in waited)
    assert [(row.delivery_id, row.field, row.stage) for row in told[:3]] == [(row.id, row.destination, "restore") for row in waited]
    assert [(row.message_id, row.delivery_id) for row in told[3:]] == [(30, None)]
    assert all(name == is_in for name, is_in in other) and len(other) == 4
    assert message.state == "parked" and message.reason.startswith("RESTORED: ")
    assert (line.verb, line.reason, line.target, line.actor) == ("db_restore", "disk", "b.zip", "cli:nurse")


def test_asked_for_what_waited_goes_out_by_itself(store: Store, tmp_path: Path) -> None:
    fill(store)
    made(store, tmp_path / "b.zip")
    held, _ = restored(store.engine, tmp_path / "b.zip", send=True)
    assert (held.deliveries, held.messages) == (0, 0)
    d = views.delivery.c
    with dialect.reading(store.engine) as connection:
        states = connection.execute(select(d.destination, d.state).where(d.id > 29)).all()
        assert all(name == is_in for name, is_in in states) and len(states) == 7
        assert state.depths(connection, "or-supply") == {"queued": 1, "in_flight": 1, "retrying": 1}


def test_requests_facts_and_numbers_of_that_time_are_not_those_of_now(store: Store, tmp_path: Path) -> None:
    fill(store)
    made(store, tmp_path / "b.zip")
    restored(store.engine, tmp_path / "b.zip")
    with dialect.reading(store.engine) as connection:
        assert state.requests(connection) == []
        assert orders.answer(connection, 1) == (False, "not carried out: the store was restored from a backup; ask again")
        facts = {row.name: row.value for row in connection.execute(select(tables.engine_state))}
        assert expected_numbers(connection, "or-supply") == {"CAB": None}
        assert last_sent(connection, "or-supply", "lab") == (17, 3)
    assert "heartbeat_us" not in facts and facts["restored"].startswith("20")


@pytest.mark.parametrize(("later_us", "after"), [(0, 1_000_000_000), (86_400 * SECOND_US, 9_000_000_000)])
def test_no_number_is_given_twice(store: Store, tmp_path: Path, later_us: int, after: int) -> None:
    fill(store)
    manifest = made(store, tmp_path / "b.zip")
    held, _ = restored(store.engine, tmp_path / "b.zip", manifest.began_us + later_us)
    assert held.numbers_after == after
    numbers = Sequences()
    with dialect.writing(store.engine) as connection:
        numbers.load(connection)
        assert (numbers.next_message(connection), numbers.next_delivery(connection)) == (after + 1, after + 1)
    made(store, tmp_path / "c.zip")  # a store that was restored is backed up and restored again
    again, _ = restored(store.engine, tmp_path / "c.zip")
    assert again.numbers_after == after + 1_000_000_000


def test_numbers_that_were_given_after_a_restore_are_not_given_after_the_next_one(store: Store, tmp_path: Path) -> None:
    fill(store)
    manifest = made(store, tmp_path / "b.zip")
    restored(store.engine, tmp_path / "b.zip")
    numbers = Sequences()
    with dialect.writing(store.engine) as connection:
        numbers.load(connection)
        given = numbers.next_message(connection)
    again, _ = restored(store.engine, tmp_path / "b.zip", manifest.began_us + 2 * MINUTE_US)
    assert again.numbers_after >= given


def test_the_old_store_is_kept_whole(store: Store, tmp_path: Path) -> None:
    fill(store)
    made(store, tmp_path / "b.zip")
    store.message(id=777, raw=b"after the backup")
    before = content(store.engine)
    _, aside = restored(store.engine, tmp_path / "b.zip")
    assert one(store.engine, select(views.message.c.id).where(views.message.c.id == 777)) is None
    assert _kept(store.engine, aside) == before


def _kept(engine: Engine, aside: str) -> dict[str, list[Any]]:
    if engine.dialect.name == "sqlite":
        old = open_engine(f"sqlite:///{aside}", site=None, create=False)
    else:
        url = engine.url.update_query_dict({"options": f"-csearch_path={aside.removeprefix('schema ')}"})
        old = open_engine(url.render_as_string(hide_password=False), site=None)
    try:
        return content(old)
    finally:
        old.dispose()


def test_a_store_that_an_engine_works_on_is_refused(engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from suture.store import ownership
    from tests.store.test_backup_killed import running

    monkeypatch.setattr(ownership, "PATIENCE_S", 0.2)
    engine = open_engine(engine_url, site=None)
    made(Store(engine), tmp_path / "b.zip")
    before = content(engine)
    with running(engine_url), pytest.raises(StoreError, match="another engine works on this store"):
        restored(engine, tmp_path / "b.zip")
    assert content(engine) == before
    engine.dispose()


Look = Callable[[Engine], list[str]]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("DELETE FROM message_body WHERE message_id = 3", "1 messages without their bytes (the first is 3)"),
        ("UPDATE queued SET payload = NULL WHERE id = 4", "1 deliveries without a payload (the first is 4)"),
        ("UPDATE queued SET part = 99 WHERE id = 4", "1 deliveries whose payload is not there (the first is 4)"),
        ("UPDATE message_body SET coding = 77 WHERE message_id = 3", "1 messages whose dictionary is not there (the first is 3)"),
        (
            "UPDATE made SET coding = 77 WHERE message_id = 3 AND part = 0",
            "events and payloads whose dictionary is not there (the first is 3)",
        ),
        (
            "UPDATE message_body SET coding = 1 WHERE message_id = 3",
            "rows of message_body that cannot be read (the first is of message 3)",
        ),
        ("UPDATE made SET coding = 0 WHERE message_id = 3 AND part = 0", "1 rows of made that cannot be read (the first is of message 3)"),
        ("UPDATE queued SET message_id = 999 WHERE id = 5", "1 deliveries without a message (the first is 5)"),
        ("UPDATE queued SET state = 'lost' WHERE id = 5", "1 deliveries in a state there is none of (the first is 5)"),
        ("UPDATE received SET state = '' WHERE id = 2", "1 messages in a state there is none of (the first is 2)"),
        ("DELETE FROM received WHERE id = 6", " events and payloads without a message (the first is 6)"),
        ("UPDATE alembic_version SET version_num = 'x'", f"it has schema x, and this Suture needs {schema.HEAD}"),
    ],
)
def test_rows_that_do_not_fit_together_are_told(store: Store, harm: str, said: str) -> None:
    fill(store)
    assert list(soundness.problems(store.engine, False, lambda text: None)) == []
    with dialect.writing(store.engine) as connection:
        connection.exec_driver_sql(harm)
    assert any(one.endswith(said) for one in soundness.problems(store.engine, False, lambda text: None))


def test_damaged_pages_are_told(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 's.db'}", site=None)
    schema.upgrade(engine)
    fill(Store(engine))
    with dialect.reading(engine) as connection:
        page = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'delivery_message'").scalar()
    engine.dispose()
    with (tmp_path / "s.db").open("r+b") as file:
        file.seek(4096 * (page - 1) + 2000)
        file.write(b"\xff" * 2000)
    found = list(soundness.problems(open_engine(f"sqlite:///{tmp_path / 's.db'}", site=None), False, lambda text: None))
    assert found


def test_a_delivery_without_a_payload_is_whole_while_it_is_held(store: Store) -> None:
    message = store.message()
    held = store.delivery(message, state="held")
    with dialect.writing(store.engine) as connection:
        connection.exec_driver_sql(f"UPDATE queued SET payload = NULL WHERE id = {held}")
    assert list(soundness.problems(store.engine, True, lambda text: None)) == []


def test_the_pace_leaves_the_rest_of_the_time_to_others() -> None:
    now_s, slept = [0.0], list[float]()
    worked = backup.paced(silent, 25, lambda: now_s[0], slept.append)
    now_s[0] = 1.0
    worked("store/message", 1, 1)
    now_s[0] = 1.5
    worked("store/message", 1, 1)
    assert slept == [3.0, 1.5]
