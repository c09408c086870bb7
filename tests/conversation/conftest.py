"""The stores that the tests of the pipeline have."""

from tests.pipeline.conftest import database, quick_db

__all__ = ["database", "quick_db"]
