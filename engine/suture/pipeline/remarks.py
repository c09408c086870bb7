"""Remarks that go with what a message comes to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from suture.model.message import Note
from suture.model.value import changed
from suture.ports import Processed, Settled


def remarked(work: Processed, notes: Sequence[Note]) -> Processed:
    """The same work, whose outcome carries these notes before its own."""
    if not notes:
        return work
    settle = work.settle

    def noted(settled: Settled) -> Settled:
        return changed(settled, notes=[*notes, *settled.notes])

    ready = None if work.ready is None else noted(work.ready)
    return changed(work, settle=lambda claims, stock: noted(settle(claims, stock)), ready=ready)
