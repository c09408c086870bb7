"""The `suture` command: its verbs, and what becomes of errors."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

import click

from suture import __version__
from suture.cli import audit, channel, completion, db, delivery, exception, exits, hl7, listen, message, send, site, status
from suture.model.errors import ConfigError, StoreError, StoreRefused, SutureError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="suture")
def cli() -> None:
    """Suture, an interface engine for the charge and supply side of hospitals.

    \b
    A first minute:
      suture init mysite             make a site with a working channel
      suture run --site mysite       run it (another terminal for the rest)
      suture status --site mysite    see how it is doing
    """


for command in (
    site.init,
    site.run,
    site.demo,
    site.check,
    status.status,
    channel.channel,
    message.message,
    delivery.delivery,
    exception.exception,
    audit.audit,
    hl7.hl7,
    send.send,
    listen.listen,
    db.db,
    completion.completion,
):
    cli.add_command(command)


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
    from suture.control import NotFound

    if isinstance(error, ConfigError):
        click.echo(str(error), err=True)
        return exits.WRONG
    click.echo(f"suture: {error}", err=True)
    if isinstance(error, NotFound):
        return exits.NOT_FOUND
    return exits.NO_ANSWER if isinstance(error, StoreError) and not isinstance(error, StoreRefused) else exits.FAILED


if __name__ == "__main__":
    sys.exit(main())
