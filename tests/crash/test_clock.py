"""The machine's clock is set back by an hour under load: timers go on, everything is delivered, and the end comes in time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.hospital import Hospital, wait_until

SET_BACK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, at);
    const char *flag = getenv("SET_BACK");
    if (clock == CLOCK_REALTIME && flag && !access(flag, F_OK)) at->tv_sec -= 3600;
    return result;
}
"""
"""Tells the process that preloads it a time of day one hour ago, as soon as the file of SET_BACK is there."""


@pytest.fixture
def preloaded(tmp_path: Path) -> Path:
    """The library."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("the clock of a process can only be changed on Linux, with a C compiler")
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(SET_BACK)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def test_set_back_while_the_erp_is_down(tmp_path: Path, preloaded: Path) -> None:
    flag = tmp_path / "set-back"
    with Hospital(tmp_path, LD_PRELOAD=str(preloaded), SET_BACK=str(flag)) as hospital:
        hospital.start()
        charges, adts = hospital.send_charges(), hospital.send_adt()
        hospital.sinks.call(hospital.erp.stop())
        wait_until(lambda: "erp fails" in hospital.said() and len(charges.acked) > 200 and len(adts.acked) > 50)
        flag.touch()
        hospital.sinks.call(hospital.erp.start())
        restarted = hospital.suture("channel", "restart", "adt")
        assert restarted.returncode == 0, restarted.stderr
        hospital.wait_for_delivery()
        assert hospital.terminate() < 10
        hospital.check()
