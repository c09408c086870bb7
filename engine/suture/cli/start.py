"""Where the `suture` program begins: Ctrl-C while the rest is still being loaded ends it without a traceback."""

from __future__ import annotations

import gc
import sys

LOADED = 100_000
"""New objects after which garbage is looked for, where nothing else says it: a look at the store loads 85,000 that stay."""


def main() -> int:
    """Load the command and run it; returns its exit code (cli/exits.py)."""
    gc.set_threshold(LOADED)
    try:
        from suture.cli.main import main as command

        return command()
    except KeyboardInterrupt:
        print("\nended", file=sys.stderr)
        return 130
    finally:
        gc.freeze()  # the process ends: what it holds need not be looked through for what is not used any more


if __name__ == "__main__":
    sys.exit(main())
