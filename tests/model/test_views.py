"""What looking returns: its names and their order are public, and what a view holds is in no log."""

from __future__ import annotations

import pytest

from suture.cli.output import plain
from suture.model import views

PUBLIC = {
    "MessageView": "id channel received_at_us processed_at_us state control_id type sender peer size_bytes duplicate_of reason revision",
    "EventView": "message_id revision number event_id type line state key body held_by",
    "DeliveryView": "id message_id channel destination lane state attempts next_at_us idempotency_key control_id content_type events "
    "created_at_us updated_at_us accepted_at_us posted_at_us document reason original_id words",
    "AttemptView": "delivery_id number started_at_us ended_at_us outcome code reason response words",
    "ExceptionView": "id message_id delivery_id channel stage code line field path table_name value reason opened_at_us resolved_at_us "
    "resolution words",
    "NoteView": "line code place reason",
    "AuditView": "id at_us actor verb target reason",
    "Step": "at_us what text delivery_id",
    "Journey": "message original duplicates events deliveries attempts exceptions notes steps",
    "Item": "message_id delivery_id channel destination state action why doubles",
    "Answer": "command_id done ok result running state",
    "Owner": "epoch node pid process lease_s since_us released",
    "Refusal": "delivery_id exception_id at_us code reason words",
    "DestinationStatus": "destination deliveries oldest_waiting_us last_accepted_us state since_us next_try_us reason words refusal",
    "ChannelStatus": "channel desired actual reason messages last_received_us exceptions destinations",
    "Status": "running state engine heartbeat_us since_us channels owner missing",
    "Doubled": "deliveries messages",
    "Balance": "channel received messages events deliveries exceptions unsettled doubled wrong",
}


def test_every_view_is_written_down_here() -> None:
    kinds = {name for name, kind in vars(views).items() if isinstance(kind, type) and issubclass(kind, views.Shown)}
    assert kinds - {"Shown", "View", "Gathered"} == PUBLIC.keys()


@pytest.mark.parametrize("name", PUBLIC)
def test_the_names_of_a_view_and_their_order_are_public(name: str) -> None:
    assert " ".join(getattr(views, name).__struct_fields__) == PUBLIC[name]


def test_what_a_look_does_not_show_is_not_in_its_json() -> None:
    found = views.EventView(1, 0, 0, "e", "supply.used", 1, "raised", "k")
    assert list(plain(found)) == ["message_id", "revision", "number", "event_id", "type", "line", "state", "key"]
    assert "body" in plain(views.EventView(1, 0, 0, "e", "supply.used", 1, "raised", "k", b"{}"))


def test_a_view_shows_nothing_of_itself_in_a_log() -> None:
    line = views.AuditView(1, 0, "cli:nurse", "look", "MRN-SECRET", "")
    assert "SECRET" not in f"{line} {line!r} {[line]}"
    books = views.Balance("MRN-SECRET")
    assert "SECRET" not in f"{books!r}"
