"""The tests of this directory run on a reactor."""

from tests.faults.driving import pytest_pyfunc_call, reactor

__all__ = ["pytest_pyfunc_call", "reactor"]
