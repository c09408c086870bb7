"""Backups of the store: db backup, db restore, db verify."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from suture.cli import exits, output
from suture.cli.acting import confirm
from suture.cli.options import reason_option, site_options, yes_option
from suture.cli.session import Session, actor
from suture.model.errors import StoreError, StoreRefused

if TYPE_CHECKING:
    from suture.store.after_restore import Held
    from suture.store.archive import Backup, Manifest

SHOWN_S = 0.5
_path = click.argument("path", type=click.Path(path_type=Path))
_quick = click.option("--quick", is_flag=True, help="Look less closely: a backup's checksums only, a store's pages without its indexes.")


class Progress:
    """What is done, on a terminal's error output, in one line that changes; nothing where there is no terminal."""

    def __init__(self, doing: str) -> None:
        self._doing, self._bytes, self._rows, self._shown_s, self._wide = doing, 0, 0, 0.0, 0
        self._visible = sys.stderr.isatty()

    def worked(self, name: str, rows: int, size_bytes: int) -> None:
        """So many more rows and bytes of this part are done."""
        self._rows, self._bytes = self._rows + rows, self._bytes + size_bytes
        size = f", {self._bytes / 1e6:,.0f} MB" if self._bytes else ""
        self._show(f"{self._doing}: {name}, {self._rows:,} rows{size}")

    def at(self, what: str) -> None:
        """This is done now."""
        self._show(f"{self._doing}: {what}")

    def end(self) -> None:
        """Take the line away."""
        if self._wide:
            click.echo(f"\r{' ' * self._wide}\r", nl=False, err=True)

    def _show(self, text: str) -> None:
        now_s = time.monotonic()
        if self._visible and now_s - self._shown_s >= SHOWN_S:
            click.echo(f"\r{text:<{self._wide}}", nl=False, err=True)
            self._shown_s, self._wide = now_s, len(text)


@click.command()
@site_options
@_path
@click.option("--files/--no-files", default=True, help="With the site's conf, channels and mappings, or without.", show_default=True)
@click.option("--share", type=click.IntRange(1, 100), default=50, show_default=True, help="Percent of a processor it takes, at most.")
@yes_option
def backup(session: Session, path: Path, files: bool, share: int, yes: bool) -> int:
    """Back up the store to a file, also while the engine works; a directory gets a file named by the time.

    The file holds what the store holds about patients, and is readable by its owner only.

    \b
    Examples:
      suture db backup /backup
      suture db backup /backup/before-upgrade.zip --no-files
    """
    from suture import __version__
    from suture.config.own_files import own_files, written_secrets
    from suture.store import backup as backups

    if path.is_dir():
        path = path / f"suture-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.zip"
    origin = backups.Origin(__version__, session.site_name, actor(), own_files(session.directory) if files else {})
    progress = Progress("backup")
    try:
        manifest = backups.make(session.engine(), path, origin, backups.paced(progress.worked, share), yes)
    finally:
        progress.end()
    for place in written_secrets(session.directory) if files else ():
        click.echo(f"warning: {place} is written out, so it is in the backup too; use ${{env:NAME}} or ${{file:path}}", err=True)
    if session.as_json:
        output.print_json({"path": str(path), "size_bytes": path.stat().st_size, **_told(manifest)})
    else:
        click.echo(f"backup {path}, {path.stat().st_size / 1e6:,.1f} MB, as of {session.time(manifest.began_us)}: {_content(manifest)}")
    return exits.OK


def _told(manifest: Manifest) -> dict[str, Any]:
    tables = {name: part.rows for name, part in manifest.tables.items()}
    facts = {name: getattr(manifest, name) for name in ("suture", "schema", "site", "database", "began_us", "ended_us")}
    return {**facts, "tables": tables, "files": sorted(manifest.files)}


def _content(manifest: Manifest) -> str:
    messages, deliveries = manifest.rows("received", "message"), manifest.rows("queued", "delivery")
    counts = f"{messages:,} messages, {deliveries:,} deliveries, {manifest.rows('exception'):,} exceptions"
    return f"{counts}; {len(manifest.files)} files of the site; schema {manifest.schema}"


@click.command()
@site_options
@_path
@click.option("--send", is_flag=True, help="Let what waited then go out by itself: a partner may get it a second time.")
@click.option("--files", "target", type=click.Path(path_type=Path), help="Also write the site's files of that time to this new directory.")
@reason_option
@yes_option
def restore(session: Session, path: Path, send: bool, target: Path | None, reason: str, yes: bool) -> int:
    """Put a backup in the place of the store; the engine has to be stopped, and what is there now is kept aside.

    What waited to be sent when the backup was made may have been sent since: it is held, and a person lets it go.

    \b
    Examples:
      suture db restore /backup/suture-20260304T010000Z.zip --reason "disk failed"
      suture db restore old.zip --files /tmp/site-of-that-time --reason "look at yesterday's mapping"
    """
    from suture.store import restore as restoring
    from suture.store.after_restore import Restoring
    from suture.store.archive import Backup

    backup = Backup(path)
    engine = session.engine(create=True)
    progress = Progress("restore")
    try:
        restoring.require_readable(backup, progress.worked)
        progress.end()
        click.echo(_before(session, backup.manifest), err=True)
        confirm("Restore it?", yes)
        if target is not None:
            _write_files(backup, target)
        what = Restoring(backup.manifest.began_us, session.now_us, actor(), reason, path.name, send)
        held, aside = restoring.restore(engine, backup, what, progress.worked)
    finally:
        progress.end()
        backup.close()
    if session.as_json:
        output.print_json({"backup": _told(backup.manifest), "held": held, "kept": aside})
    else:
        for line in _after(session, backup, held, aside):
            click.echo(line)
    return exits.OK


def _before(session: Session, manifest: Manifest) -> str:
    made = (
        f"made {session.time(manifest.began_us)}, {session.ago(manifest.began_us)} ago, by Suture {manifest.suture} on {manifest.database}"
    )
    return (
        f"a backup of {manifest.site}, {made}: {_content(manifest)}\n"
        "Messages that were acknowledged after it are not in it: their senders have to send them again."
    )


def _after(session: Session, backup: Backup, held: Held, aside: str) -> list[str]:
    lines = ["restored" + (f"; what was there is kept as {aside}" if aside else "")]
    if held.deliveries or held.messages:
        lines += [
            f"held for a person, because they may have been sent since: {held.deliveries:,} deliveries, {held.messages:,} messages"
            " that were not processed yet",
            "  look:           suture exception list --code RESTORED",
            "  let them go:    suture delivery release --restored --reason ... (with --to DESTINATION: only there)",
            "  process these:  suture message reprocess --state parked --reason ...",
        ]
    lines.append(f"new messages and deliveries are numbered from {held.numbers_after + 1:,} on, so that no number is given twice")
    lines.append(f"ask your senders for what they sent after {session.time(backup.manifest.began_us)}")
    changed = _changed(session.directory, backup.manifest)
    if changed:
        shown = ", ".join(changed[:10]) + (f" and {len(changed) - 10} more" if len(changed) > 10 else "")
        lines.append(f"the site's files are others than then ({shown}); `suture db restore --files DIR` writes those of then")
    return lines


def _changed(directory: Path, manifest: Manifest) -> list[str]:
    from hashlib import sha256

    there = {name: directory / name for name in manifest.files}
    return [n for n, p in there.items() if not p.is_file() or sha256(p.read_bytes()).hexdigest() != manifest.files[n].sha256]


def _write_files(backup: Backup, target: Path) -> None:
    try:
        target.mkdir(mode=0o700)
        for name in backup.manifest.files:
            place = target / name
            if not place.resolve().is_relative_to(target.resolve()):
                raise StoreRefused(f"the backup {backup.path} names a file outside the site: {name!r}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(backup.file(name))
    except OSError as error:
        raise StoreRefused(f"the files cannot be written to {target}: {error.strerror}") from None


@click.command()
@site_options
@click.argument("path", type=click.Path(path_type=Path), required=False)
@_quick
def verify(session: Session, path: Path | None, quick: bool) -> int:
    """Check a backup, or without a path the store itself (also while the engine works); exit 1 when something is wrong.

    A backup is compared with its checksums and then restored, for trial, into a file beside it that is removed again.

    \b
    Examples:
      suture db verify /backup/suture-20260304T010000Z.zip
      suture db verify
    """
    progress = Progress("verify")
    try:
        wrong, notes = _verified(path, quick, progress) if path else _verified_store(session, quick, progress)
    finally:
        progress.end()
    name = str(path) if path else "the store"
    if session.as_json:
        output.print_json({"of": name, "sound": not wrong, "problems": wrong, "notes": notes})
    else:
        for line in (*wrong, *(f"note: {note}" for note in notes)):
            output.say(line)
        click.echo(f"{name} is {'NOT sound' if wrong else 'sound'}")
    return exits.FAILED if wrong else exits.OK


Verified = tuple[list[str], list[str]]


def _verified_store(session: Session, quick: bool, progress: Progress) -> Verified:
    from suture.store import soundness

    engine = session.engine()
    return list(soundness.problems(engine, quick, progress.at)), soundness.notes(engine)


def _verified(path: Path, quick: bool, progress: Progress) -> Verified:
    from suture.store.archive import Backup

    backup = Backup(path)
    try:
        wrong = backup.check(progress.worked)
        return (wrong, []) if wrong or quick else _restored_for_trial(backup, progress)
    finally:
        backup.close()


def _restored_for_trial(backup: Backup, progress: Progress) -> Verified:
    from suture.store import restore, soundness
    from suture.store.engine import open_file

    with tempfile.TemporaryDirectory(prefix=".suture-verify-", dir=_writable(backup.path.parent)) as place:
        new = Path(place) / "trial.db"
        try:
            restore.try_out(new, backup, progress.worked)
        except StoreError as error:
            return [str(error)], []
        engine = open_file(new)
        try:
            return list(soundness.problems(engine, True, progress.at)), []
        finally:
            engine.dispose()


def _writable(directory: Path) -> str | None:
    """The directory for the trial: beside the backup, where what is about patients may be; else where temporary files are."""
    return str(directory) if os.access(directory, os.W_OK) else None
