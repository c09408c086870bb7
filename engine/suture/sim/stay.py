"""`make run`: the demo's engine and simulators on a site that stays, in the foreground, for trying the commands."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from suture.config.init import write_example_site
from suture.model.errors import SutureError
from suture.sim.processes import ChildError, free_ports, inherited, is_free
from suture.sim.stage import VARIABLES, Ports, Stage

HINT = """
Suture runs the site {site}; the simulated ERP, billing and analytics run beside it. Ctrl-C stops all.
In another terminal:

  export {variables}
  suture send {site}/channels/or-supply/samples/implant.hl7 --to 127.0.0.1:{ports.mllp}
  suture status --site {site}
  suture message list --site {site} --account A260310042
  suture message trace 1 --site {site}
  suture exception list --site {site}
  curl -s http://127.0.0.1:{ports.http}/metrics
  curl -s http://127.0.0.1:{ports.control}/stats                 # what the other systems have counted
  curl -s -X POST http://127.0.0.1:{ports.control}/erp/down      # the ERP goes away; /erp/up brings it back
"""


PORTS = "SUTURE_DEMO_PORTS"
"""Set to `free`: ports that are free, where no variable names one, instead of the usual ones."""
TAKEN = f"Stop what listens there (another `make run`?), set the variable to another port, or set {PORTS}=free."


def run_site(directory: Path = Path("demo-site")) -> int:
    """Run until Ctrl-C or SIGTERM; the site is made where there is none. Ports are those of the environment's variables.

    Returns 0, or 1 when something ended by itself or cannot begin.
    """
    try:
        ports = Ports.given(os.environ, Ports(*free_ports(6)) if os.environ.get(PORTS) == "free" else Ports())
        if taken := [f"{port} ({name})" for name, port in zip(VARIABLES.values(), ports.numbers(), strict=True) if not is_free(port)]:
            print(f"In use already: port {', '.join(taken)} of 127.0.0.1. {TAKEN}")
            return 1
        if not (directory / "conf").is_dir():
            write_example_site(directory)
        asyncio.run(_stay(Stage(directory, ports, inherited(**ports.environment()), quiet=False)))
    except (SutureError, ChildError) as e:
        print(e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


async def _stay(stage: Stage) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await stage.open()
        print(HINT.format(site=stage.site, ports=stage.ports, variables=_variables(stage.ports)), flush=True)
        while not stop.is_set():
            stage.check()
            await asyncio.sleep(0.3)
    finally:
        await stage.close()


def _variables(ports: Ports) -> str:
    """What another terminal has to set to read the site's files as the engine does."""
    usual = Ports().environment()
    return " ".join(f"{name}={value}" for name, value in ports.environment().items() if name == "SUTURE_ENV" or usual[name] != value)


if __name__ == "__main__":
    sys.exit(run_site(*map(Path, sys.argv[1:2])))
