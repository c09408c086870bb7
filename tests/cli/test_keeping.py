"""db backup, db restore and db verify through the command: what they say, what they ask, how they exit."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from suture.cli import exits
from suture.config.own_files import own_files, written_secrets
from suture.store import dialect, orders
from suture.store.queries import AuditFilter
from tests.cli.conftest import Site


@pytest.fixture
def backup(site: Site, tmp_path: Path) -> Path:
    """A backup of a store with a delivery that waits and a message that is not processed."""
    site.store.delivery(site.store.message(), "erp", "queued")
    site.store.message("received")
    path = tmp_path / "b.zip"
    assert site("db", "backup", path).code == exits.OK
    return path


def audited(site: Site) -> list[str]:
    with dialect.reading(site.store.engine) as connection:
        return [
            f"{row.actor} {row.verb} {row.target} {row.reason}".strip() for row in orders.audited(connection, AuditFilter(limit=10))[::-1]
        ]


def test_a_backup_says_what_is_in_it_and_is_audited(site: Site, backup: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert audited(site) == [f"cli:nurse db_backup {backup}"]
    found = site("db", "backup", backup, "--yes", "--json").json
    assert (found["tables"]["received"], found["tables"]["queued"], found["site"]) == (2, 1, "General Hospital")
    assert found["files"] == ["channels/or-supply/channel.yaml", "conf/base.yaml"]
    assert site("db", "backup", backup, "--yes", "--no-files", "--json").json["files"] == []


def test_it_replaces_nothing_unasked(site: Site, backup: Path) -> None:
    ran = site("db", "backup", backup)
    assert ran.code == exits.FAILED and "is there already" in ran.err and "--yes" in ran.err


def test_in_a_directory_it_is_named_by_the_time(site: Site, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    assert site("db", "backup", tmp_path / "backups").code == exits.OK
    (found,) = (tmp_path / "backups").iterdir()
    assert found.name.startswith("suture-20") and found.name.endswith("Z.zip")


def test_a_restore_asks_first_and_says_what_follows(site: Site, backup: Path) -> None:
    asked = site("db", "restore", backup, "--reason", "disk")
    assert asked.code == exits.WRONG and "a backup of General Hospital" in asked.err and "--yes" in asked.err
    ran = site("db", "restore", backup, "--reason", "disk", "--yes")
    assert ran.code == exits.OK, ran.err
    assert "held for a person, because they may have been sent since: 1 deliveries, 1 messages" in ran.out
    assert "what was there is kept as" in ran.out and "numbered from 1,000,000,001 on" in ran.out
    assert "Messages that were acknowledged after it are not in it" in ran.err
    site.store.engine.dispose()
    assert audited(site)[-1] == f"cli:nurse db_restore {backup.name} disk"
    listed = site("exception", "list", "--code", "RESTORED", "--json").json
    assert sorted((e["stage"], e["delivery_id"]) for e in listed if e["delivery_id"]) == [("restore", 1)]
    shown = site("exception", "show", next(e["id"] for e in listed if e["delivery_id"])).out
    assert "ask erp whether it has it; if not: suture delivery release 1" in shown


def test_the_status_after_a_restore_says_that_it_was_restored(site: Site, backup: Path) -> None:
    site("db", "restore", backup, "--reason", "disk", "--yes")
    site.store.engine.dispose()
    assert site("status").lines[0].startswith("engine NOT RUNNING; this database was restored from the backup of 20")


def test_what_it_held_is_let_go_at_once(site: Site, backup: Path) -> None:
    site("db", "restore", backup, "--reason", "disk", "--yes")
    site.store.engine.dispose()
    would = site("delivery", "release", "--restored", "--reason", "asked", "--dry-run", "--json").json
    assert [(item["delivery_id"], item["action"]) for item in would] == [(1, "send")]
    assert site("delivery", "release", "--restored", "--to", "lab", "--reason", "asked", "--yes").code == exits.FAILED
    assert site("delivery", "release", "1", "--restored", "--reason", "asked", "--yes").code == exits.WRONG
    assert site("delivery", "release", "--reason", "asked", "--yes").code == exits.WRONG
    assert site("delivery", "release", "--restored", "--to", "erp", "--reason", "asked", "--yes", "--wait", "0").code == exits.NO_ANSWER


def test_a_restore_as_json_is_for_scripts(site: Site, backup: Path) -> None:
    found = site("db", "restore", backup, "--reason", "disk", "--yes", "--send", "--json").json
    assert found["held"] == {"deliveries": 0, "messages": 0, "numbers_after": 1_000_000_000}
    assert found["kept"] and found["backup"]["tables"]["received"] == 2


def test_files_of_another_time_are_told_and_written_elsewhere(site: Site, backup: Path, tmp_path: Path) -> None:
    channel = site.path / "channels" / "or-supply" / "channel.yaml"
    channel.write_text("channel: or-supply\nabout: of today\n")
    ran = site("db", "restore", backup, "--reason", "x", "--yes", "--files", tmp_path / "then")
    assert "the site's files are others than then (channels/or-supply/channel.yaml)" in ran.out
    assert (tmp_path / "then/channels/or-supply/channel.yaml").read_text() == "channel: or-supply\n"
    assert channel.read_text().endswith("of today\n")
    again = site("db", "restore", backup, "--reason", "x", "--yes", "--files", tmp_path / "then")
    assert again.code == exits.FAILED and "File exists" in again.err


def test_verify_of_a_backup_and_of_the_store(site: Site, backup: Path) -> None:
    assert site("db", "verify", backup).out.endswith("is sound\n")
    assert site("db", "verify", backup, "--quick", "--json").json["sound"] is True
    assert site("db", "verify").code == exits.OK
    raw = bytearray(backup.read_bytes())
    raw[len(raw) // 2] ^= 1
    backup.write_bytes(raw)
    ran = site("db", "verify", backup)
    assert ran.code == exits.FAILED and "NOT sound" in ran.out
    with dialect.writing(site.store.engine) as connection:
        connection.exec_driver_sql("DELETE FROM message_body WHERE message_id = 1")
    ran = site("db", "verify", "--json")
    assert ran.code == exits.FAILED and ran.json["problems"] == ["1 messages without their bytes (the first is 1)"]
    assert not [name for name in os.listdir(backup.parent) if "suture-verify" in name]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a backup", b"x" * 100])
def test_what_is_no_backup_is_said_to_be_none(site: Site, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.zip"
    path.write_bytes(content)
    for verb in (("verify", path), ("restore", path, "--reason", "x", "--yes")):
        ran = site("db", *verb)
        assert ran.code == exits.FAILED and "is no backup of Suture's" in ran.err
    assert "No such file" in site("db", "verify", tmp_path / "gone.zip").err


def test_secrets_that_are_written_out_are_warned_of(site: Site, tmp_path: Path) -> None:
    conf = site.path / "conf" / "prod.yaml"
    conf.write_text('endpoints:\n  erp:\n    http_out: {url: "http://x/", auth: {bearer: "TOKEN-SECRET"}}\n')
    ran = site("db", "backup", tmp_path / "b.zip")
    assert "conf/prod.yaml:3: endpoints.erp.http_out.auth.bearer is written out" in ran.err and "TOKEN-SECRET" not in ran.err
    conf.write_text('endpoints:\n  erp:\n    http_out: {url: "http://x/", auth: {bearer: "${env:ERP_TOKEN}"}}\n')
    assert "prod" not in site("db", "backup", tmp_path / "c.zip").err


def test_keys_and_what_stands_beside_conf_are_not_taken(tmp_path: Path) -> None:
    names = ["conf/base.yaml", "conf/token.txt", "conf/tls/key.pem", "mappings/a.yaml", "mappings/tables/t.csv", "mappings/functions/f.py"]
    names += ["channels/c/samples/s.hl7", "channels/c/.secret.yaml", "channels/c/__pycache__/x.py", "suture.db", "conf/dev.yaml"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a: b\n")
    assert sorted(own_files(tmp_path)) == [
        *("channels/c/samples/s.hl7", "conf/base.yaml", "conf/dev.yaml"),
        *("mappings/a.yaml", "mappings/functions/f.py", "mappings/tables/t.csv"),
    ]


def test_a_password_in_the_store_s_url_is_a_secret_and_a_file_s_name_is_none(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "base.yaml").write_text('site: {name: x, zone: UTC}\nstore: {url: "sqlite:///suture.db"}\n')
    assert written_secrets(tmp_path) == []
    (tmp_path / "conf" / "base.yaml").write_text('store:\n  url: "postgresql://suture:geheim@db/suture"\n')
    assert written_secrets(tmp_path) == ["conf/base.yaml:2: store.url"]
