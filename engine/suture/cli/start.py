"""Where the `suture` program begins: Ctrl-C while the rest is still being loaded ends it without a traceback."""

from __future__ import annotations

import sys


def main() -> int:
    """Load the command and run it; returns its exit code (cli/exits.py)."""
    try:
        from suture.cli.main import main as command

        return command()
    except KeyboardInterrupt:
        print("\nended", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
