"""Completion of the command line in the shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from suture.cli import exits


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a script that completes `suture` in your shell.

    \b
    Examples:
      suture completion bash > ~/.local/share/bash-completion/completions/suture
      suture completion zsh > "${fpath[1]}/_suture"
      suture completion fish > ~/.config/fish/completions/suture.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    root = context.find_root().command
    click.echo(_source(kind(root, {}, "suture", "_SUTURE_COMPLETE")))
    return exits.OK


def _source(completer: object) -> str:
    """The script alone; click's own `source` first looks for a bash on this machine, which may not be the one it is for."""
    return str(completer.source_template % completer.source_vars())  # type: ignore[attr-defined]
