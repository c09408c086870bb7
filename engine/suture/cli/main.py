"""The `suture` command: its verbs, and what becomes of errors."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

import click

from suture import __version__
from suture.cli import exits
from suture.cli.shelf import Listing, Shelf
from suture.model.errors import ConfigError, NotFound, StoreError, StoreRefused, SutureError

COMMANDS = {
    "init": ("suture.cli.site:init", "Make a site: a directory with a working channel, its mappings and tables."),
    "run": ("suture.cli.site:run", "Run the engine until Ctrl-C or SIGTERM; it drains, then stops."),
    "demo": (
        "suture.cli.site:demo",
        "Play a surgical day through the engine with simulated cabinets, ERP, billing and analytics, and prove the balance.",
    ),
    "check": ("suture.cli.site:check", "Check a site's files and run the channels' own tests; nothing is started."),
    "status": (
        "suture.cli.status:status",
        "Show how the engine, its channels and their destinations are doing, from what can be known now.",
    ),
    "channel": ("suture.cli.channel:channel", "Channels: list, show, start, stop, restart, reload, resync."),
    "message": ("suture.cli.message:message", "Messages: list, show, trace, resend, reprocess."),
    "delivery": ("suture.cli.delivery:delivery", "Deliveries: list, show, release."),
    "exception": ("suture.cli.exception:exception", "Exceptions, which wait for a person: list, show, resolve."),
    "audit": ("suture.cli.audit:audit", "The audit: who did what, when and why."),
    "hl7": ("suture.cli.hl7.main:hl7", "HL7 v2 messages in files: show, diff, get, validate, anonymize, generate."),
    "send": (
        "suture.cli.mllp.send:send",
        "Send the HL7 messages of a file over MLLP, each when the one before is answered, and print the ACKs.",
    ),
    "listen": (
        "suture.cli.mllp.listen:listen",
        "Receive HL7 messages over MLLP and answer them as told: a receiver for tests, not for production.",
    ),
    "db": ("suture.cli.db:db", "The database: its schema, its backups."),
    "completion": ("suture.cli.completion:completion", "Print a script that completes `suture` in your shell."),
}
"""Where each command is, and the first sentence of its help, so that none has to be loaded for another, or for a list."""


@click.group(
    cls=Listing,
    commands=Shelf(COMMANDS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="suture")
def cli() -> None:
    """Suture, an interface engine for the charge and supply side of hospitals.

    \b
    A first minute:
      suture init mysite             make a site with a working channel
      suture run --site mysite       run it (another terminal for the rest)
      suture status --site mysite    see how it is doing
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code (cli/exits.py). Prints one clear text for an error, never a traceback."""
    _prepare_streams()
    out = sys.stdout
    try:
        code = cli.main(args=None if arguments is None else list(arguments), prog_name="suture", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else exits.OK
    except click.Abort:
        click.echo("\nended", err=True)
        return exits.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SutureError as error:
        return _tell(error)
    except UnicodeEncodeError:
        click.echo("suture: an argument holds bytes that are not UTF-8", err=True)
        return exits.WRONG
    except BrokenPipeError:
        return _unread()
    except SystemExit:
        if sys.stdout is out:
            raise
        return _unread()  # click ends a broken pipe so, with a wrapper in the stream's place
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            _let_go_of_output()
            click.echo(f"suture: the output cannot be written: {error.strerror}", err=True)
            return exits.FAILED
        if os.environ.get("SUTURE_DEBUG"):
            raise
        click.echo(f"suture: a fault of Suture's own ({type(error).__name__}); SUTURE_DEBUG=1 shows where, please report it", err=True)
        return exits.FAILED


def _prepare_streams() -> None:
    """Standard streams that were closed lead nowhere; what an encoding has no sign for is shown as a question mark."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:  # else a file that is opened later would get the number, and be written into
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a message may hold what a terminal's encoding has no sign for


def _unread() -> int:
    """Whoever read our output (head, less) has gone."""
    _let_go_of_output()
    return exits.OK


def _let_go_of_output() -> None:
    """The interpreter must not find the broken output again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(error: SutureError) -> int:
    if isinstance(error, ConfigError):
        click.echo(str(error), err=True)
        return exits.WRONG
    click.echo(f"suture: {error}", err=True)
    if isinstance(error, NotFound):
        return exits.NOT_FOUND
    return exits.NO_ANSWER if isinstance(error, StoreError) and not isinstance(error, StoreRefused) else exits.FAILED


if __name__ == "__main__":
    sys.exit(main())
