"""HL7 v2 messages judged by the standard and by a site's rules: validate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from suture.cli import exits, files
from suture.cli.hl7.common import echo_json, encoding_option, json_option, styled, version_option
from suture.model import finding
from suture.model.errors import ConfigError, MessageError
from suture.wire.hl7v2.exchange import batch
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.tools import render

if TYPE_CHECKING:
    from suture.wire.hl7v2.standard.profile import Profile

FAULTS_MAX = 1000
"""Faults of envelopes that are told of one file."""
_WORDS = {finding.ERROR: "error", finding.WARNING: "warning", finding.INFORMATION: "information", "F": "error"}
_COLOURS = {"error": "red", "warning": "yellow", "information": "blue"}


@dataclass(frozen=True, slots=True)
class Judge:
    """How messages are judged. standard: by HL7's own rules too. limit: findings of a message, of each kind of rules."""

    version: str
    encoding: str
    profile: Profile | None
    standard: bool
    limit: int

    def findings(self, raw: bytes) -> list[finding.Finding]:
        """What is wrong with one message."""
        from suture.wire.hl7v2.standard import validate as standard

        found = standard.validate(raw, standard.Rules(version=self.version, limit=self.limit), self.encoding) if self.standard else []
        try:
            message = er7.Message.parse(raw, self.encoding)
        except MessageError as error:
            return found or [finding.Finding(finding.OTHER, finding.ERROR, finding.Location("MSH"), error.reason)]
        return [*found, *(self.profile.check(message, self.limit) if self.profile else [])]


@click.command()
@files.file_argument()
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also by this site profile, such as mappings/profiles/NAME.yaml; its tables are those beside it in mappings/tables.",
)
@click.option("--profile-only", is_flag=True, help="By the profile alone, not by the standard.")
@click.option("--strict", is_flag=True, help="Warnings count: exit 1 for them too.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many findings of a message.")
@version_option
@encoding_option
@json_option
def validate(file: Path, strict: bool, as_json: bool, **given: Any) -> int:
    """Judge the messages of a file by the HL7 standard, and by a site profile: a line a finding, `place: code text`.

    The code is of HL7 table 0357, as in ERR-3 of an answer; no line holds a value of the message. Envelopes of batches (FHS,
    BHS, BTS, FTS) are judged too: their nesting, and their counts. Exit 0 when there is no error, 1 when there is one.

    \b
    Examples:
      suture hl7 validate day.hl7
      suture hl7 validate day.hl7 --version 2.5.1 --profile mappings/profiles/cabinet.yaml
      suture hl7 validate day.hl7 --json
    """
    judge = _judge(**given)
    counts: Counter[str] = Counter()
    envelope = _Envelope()
    total = 0
    for total, item in enumerate(_judged(file, judge, counts, envelope), 1):
        if as_json:
            click.echo("[" if total == 1 else ",")
            echo_json(item)
        else:
            _print(total, item)
    faults = envelope.faults()
    counts["error"] += len(faults)
    if as_json:
        if faults:
            click.echo(",")
            echo_json({"envelope": [{"code": fault.code, "offset": fault.offset, "text": fault.text} for fault in faults]})
        click.echo("]")
    else:
        for fault in faults:
            click.echo(f"byte {fault.offset}: {fault.code} {fault.text}")
        click.echo(_summary(total, counts))
    return exits.FAILED if counts["error"] or (strict and counts["warning"]) else exits.OK


def _judge(profile: Path | None, profile_only: bool, limit: int, version: str | None, encoding: str) -> Judge:
    if profile_only and profile is None:
        raise click.UsageError("--profile-only wants a --profile")
    return Judge(version or "", encoding, _profile(profile) if profile else None, not profile_only, limit)


def _profile(path: Path) -> Profile:
    """A site profile, compiled. Raises ConfigError with everything that is wrong in it."""
    from suture.config.mappings import read_library, read_profile

    place = path.resolve().parent
    tables = read_library(place.parents[1]).tables if (place.name, place.parent.name) == ("profiles", "mappings") else {}
    profile, problems = read_profile(path, tables, str(path))
    if profile is None or problems:
        raise ConfigError(problems)
    return profile


class _Envelope:
    """What is wrong with the batches of a file, gathered while its messages are read."""

    def __init__(self) -> None:
        self._envelope = batch.Envelope()
        self._found: list[batch.Fault] = []

    def seen(self, unit: bytes) -> None:
        """Take a unit of the file."""
        self._keep(self._envelope.take(unit))

    def faults(self) -> list[batch.Fault]:
        """The faults, when the file has been read; at most FAULTS_MAX."""
        self._keep(self._envelope.end())
        return self._found

    def _keep(self, events: Iterator[batch.Event]) -> None:
        left = FAULTS_MAX - len(self._found)
        self._found += [event for event in events if isinstance(event, batch.Fault)][:left]


def _judged(file: Path, judge: Judge, counts: Counter[str], envelope: _Envelope) -> Iterator[dict[str, Any]]:
    from suture.connectors.mllp.conversing import control_id_of

    for raw in files.messages(file, envelope.seen):
        found = judge.findings(raw)
        counts.update(_WORDS.get(each.severity, "error") for each in found)
        yield {"control_id": control_id_of(raw), "findings": [_item(each) for each in found]}


def _item(each: finding.Finding) -> dict[str, Any]:
    place = str(each.location or "")
    return {"place": place, "code": each.code, "severity": _WORDS.get(each.severity, "error"), "text": each.text}


def _print(number: int, item: dict[str, Any]) -> None:
    where = f"message {number}: " if number > 1 else ""
    for each in item["findings"]:
        kind = styled(f"  ({each['severity']})", fg=_COLOURS[each["severity"]]) if each["severity"] != "error" else ""
        click.echo(f"{where}{render.visible(each['place'])}: {each['code']} {render.visible(each['text'])}{kind}")


def _summary(total: int, counts: Counter[str]) -> str:
    parts = [f"{counts[kind]} {kind}{'s' if counts[kind] != 1 and kind != 'information' else ''}" for kind in _COLOURS if counts[kind]]
    return f"{total} message{'s' if total != 1 else ''}: {', '.join(parts) or 'nothing to find'}"
