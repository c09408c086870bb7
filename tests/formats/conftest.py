"""A site for the tests of formats that a channel names."""

from tests.config.conftest import site

__all__ = ["site"]
