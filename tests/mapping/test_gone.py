"""A mapping that is not used any more is gone at once, and the tables with it: a reload does not wait for garbage to be looked for."""

from __future__ import annotations

import gc
import weakref

from tests.mapping import examples


def test_nothing_that_compiled_a_mapping_keeps_its_tables() -> None:
    tables = {name: examples.table(name, text) for name, text in examples.TEXTS.items()}
    gc.collect()
    gc.disable()
    try:
        left = [weakref.ref(table) for table in tables.values()]
        mapping = examples.inbound(tables=tables)
        assert all(one() is not None for one in left)
        del mapping
        tables.clear()
        assert [one() for one in left if one() is not None] == []
    finally:
        gc.enable()
