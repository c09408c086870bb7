"""conf/base.yaml and conf/<environment>.yaml: what differs between environments, merged key by key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from suture.config.connector import OneConnector, one_connector, with_connectors
from suture.config.references import resolve
from suture.config.validate import validate
from suture.config.yaml_file import Document, Loc, read_yaml
from suture.connectors.net.access import Host
from suture.connectors.registry import DESTINATIONS
from suture.model.errors import Problem
from suture.model.meant import did_you_mean
from suture.model.section import Listed, Section, known_zone
from suture.pipeline.retry import Policy
from suture.store import url as store_url

ENVIRONMENT = "SUTURE_ENV"


class SiteSection(Section):
    """Who we are."""

    name: str = Field(default="", description="Name of the hospital, shown to operators")
    node: str = Field(default="", description="Name of this machine among those that may run the site's engine; empty = its host name")
    zone: Annotated[str, AfterValidator(known_zone)] = Field(
        description="Time zone of HL7 times without an offset, such as America/Chicago"
    )
    processing_ids: Annotated[list[str], Listed] = Field(
        default_factory=list,
        description='Values of MSH-11.1 that are taken ("" = an empty one), where a channel\'s `hl7v2.answer` says nothing of its own; '
        "others are refused with code 202. Absent: all",
    )
    money_decimals: int = Field(
        default=2, ge=0, le=4, description="Decimals of the currency: an amount is rounded to them, and a half goes away from zero"
    )


class StoreSection(Section):
    """Where messages are kept. SUTURE_DATABASE_URL, when set, takes the place of `url`."""

    url: SecretStr = Field(
        default=SecretStr(store_url.DEFAULT),
        description="Database: sqlite:///FILE (a relative file begins at the site's directory) or postgresql://USER:PASSWORD@HOST/NAME",
    )

    accept_unsafe: bool = Field(
        default=False,
        description="Run in production (environment prod or production) though the PostgreSQL server may lose what was acknowledged, "
        "as with fsync off",
    )
    lease_s: float = Field(
        default=10,
        ge=3,
        le=600,
        description="Seconds since the store last confirmed that it is this engine's, after which what is in flight is given up, and a"
        " second more after which another engine may send (in between, from 2.5 s on, no send begins)",
    )
    timeout_s: float = Field(
        default=15, ge=2, le=600, description="Seconds after which a silent PostgreSQL counts as lost, and a wait for a lock as in vain"
    )
    free_bytes: int = Field(
        default=1_073_741_824, ge=0, description="Bytes free on the disk of a SQLite store below which the engine says so; 0 = never"
    )

    @field_validator("url")
    @classmethod
    def _supported(cls, url: SecretStr) -> SecretStr:
        if problem := store_url.problem(url.get_secret_value()):
            raise ValueError(problem)
        return url


class HttpSection(Section):
    """The port for /metrics, /healthz and /readyz."""

    host: Host = Field(default="127.0.0.1", description="Address to listen on")
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 = off")


class JournalSection(Section):
    """The one writer to the store."""

    limit: int = Field(default=20_000, ge=1, description="Operations that may wait for the store before sources are read no further")
    slow_s: float = Field(
        default=5, ge=1, le=600, description="Seconds that the oldest operation may wait to be durable before the engine is not ready"
    )
    batch: int = Field(default=512, ge=1, le=10_000, description="Operations in one transaction, at most")


class LimitsSection(Section):
    """Limits for every source that sets none of its own."""

    message_bytes: int = Field(default=16_777_216, ge=1024, description="Largest message, in bytes (a source's `limit_bytes`)")
    connections: int = Field(default=2000, ge=1, description="Connections of one source (its `connections`)")
    read_idle_s: float = Field(default=3600, gt=0, description="Seconds a connection may say nothing (a source's `idle_s`)")
    memory_bytes: int = Field(
        default=67_108_864,
        ge=1_048_576,
        description="Bytes of messages in work, and with them of frames that have not ended, from which on sources are read "
        "no further (64 MiB); a message that is larger is still taken, alone",
    )
    drain_s: float = Field(default=8, ge=0, le=3600, description="Seconds that a stop waits for what is in work")


class ValidationSection(Section):
    """Standard validation of messages, where channels ask for it (`hl7v2.validate.standard`)."""

    processes: int = Field(default=1, ge=1, le=64, description="Processes for large messages; they start with the first one")
    inline_bytes: int = Field(default=4096, ge=0, description="Messages up to this size, in bytes, are validated without a process")
    waiting: int = Field(default=100, ge=1, description="Messages that may wait to be validated before sources are read no further")
    timeout_s: float = Field(default=60, gt=0, description="Seconds that one message may take; then it counts as not validated, an error")


class WatchdogSection(Section):
    """Connections that a fault of a program keeps open: they are found and closed."""

    every_s: float = Field(default=5, ge=0.1, le=3600, description="Seconds between looks at all connections")
    after_s: float = Field(
        default=15, ge=10, le=86_400, description="Seconds that a connection is dead, or belongs to nobody, before it is closed"
    )


class Retry(Section):
    """When to try again: the wait doubles from first_s to max_s, with jitter."""

    first_s: float = Field(default=1, gt=0, description="Seconds before the first retry")
    max_s: float = Field(default=60, gt=0, description="Seconds between retries, at most")
    give_up_after_h: float = Field(default=72, gt=0, description="Hours after which a delivery that keeps failing becomes a dead letter")
    give_up_after_attempts: int = Field(
        default=20,
        ge=0,
        description="Failed attempts while the destination takes others, after which a delivery becomes a dead letter; 0 = no limit. "
        "What failed before the destination took another does not count; first_s and max_s make minutes of it",
    )
    jitter: float = Field(default=0.2, ge=0, le=1, description="Share of a wait that is added at random, so that not all come back at once")
    attempts_max: int = Field(default=0, ge=0, description="Attempts after which any delivery becomes a dead letter; 0 = no limit")

    @model_validator(mode="after")
    def _ordered(self) -> Retry:
        if self.first_s > self.max_s:
            raise ValueError(f"'first_s' ({self.first_s:g}) is more than 'max_s' ({self.max_s:g}); make one of them fit")
        return self


class Breaker(Section):
    """When to stop trying a destination for a while."""

    after: int = Field(
        default=5,
        ge=1,
        description="Deliveries failing in a row that open the breaker; then one at a time tries whether the destination is back",
    )


@with_connectors(DESTINATIONS)
class Endpoint(OneConnector):
    """A system to deliver to: one connector with its settings, and how deliveries are paced."""

    in_flight: int = Field(default=1, ge=1, le=10_000, description="Deliveries under way at a time, one a lane")
    retry: Retry = Field(default_factory=Retry, description="When to try again")
    on_ambiguous: Literal["resend", "hold"] = Field(
        default="resend", description="Sent, and no answer: resend (with the same idempotency key) or hold for a person"
    )
    memory_limit: int = Field(default=2000, ge=1, description="Deliveries kept in memory; the rest waits in the store")
    memory_bytes: int = Field(default=16_777_216, ge=65_536, description="Bytes of the deliveries kept in memory (16 MiB)")
    payload_bytes: int = Field(
        default=67_108_864, ge=1024, description="Largest payload, in bytes (64 MiB); a delivery with a larger one is held"
    )
    breaker: Breaker = Field(default_factory=Breaker, description="When to stop trying for a while")

    def policy(self) -> Policy:
        """The endpoint's pace as the pipeline takes it."""
        own = self.model_dump(include={"on_ambiguous", "in_flight", "memory_limit", "memory_bytes"})
        retry = self.retry.model_dump(exclude={"give_up_after_h"})
        return Policy(**own, **retry, give_up_after_s=self.retry.give_up_after_h * 3600, breaker_after=self.breaker.after)


class Conf(Section):
    """The settings of a site in one environment."""

    site: SiteSection = Field(description="Who we are")
    store: StoreSection = Field(default_factory=StoreSection, description="Where messages are kept")
    http: HttpSection = Field(default_factory=HttpSection, description="The port for /metrics, /healthz and /readyz")
    journal: JournalSection = Field(default_factory=JournalSection, description="The one writer to the store")
    validation: ValidationSection = Field(default_factory=ValidationSection, description="Standard validation of messages")
    watchdog: WatchdogSection = Field(default_factory=WatchdogSection, description="Connections that a fault keeps open")
    limits: LimitsSection = Field(default_factory=LimitsSection, description="Limits for every source that sets none of its own")
    endpoints: dict[str, Endpoint] = Field(default_factory=dict, description="Systems to deliver to, by the name that channels use")

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.site.zone)


def read_conf(directory: Path, environment: str | None, environ: Mapping[str, str]) -> tuple[Conf | None, Document | None, list[Problem]]:
    """Read conf/base.yaml with the environment's file over it.

    The document's marks name the file that each value came from. The Conf is None when there are problems.
    """
    document, problems = read_yaml(directory / "conf" / "base.yaml", "conf/base.yaml")
    overlay, more = _read_overlay(directory, environment)
    problems += more
    if document is None:
        return None, None, problems
    if overlay is not None:
        text = "sections with values (key: value) must stand here"
        problems += [Problem(one.file, 1, "", text) for one in (overlay, document) if not isinstance(one.data, dict)]
        if not problems:
            document = merged(document, overlay)
    problems += resolve(document, directory, environ)
    conf, more = validate(document, Conf, directory)
    problems += more
    for name in document.section("endpoints"):
        problems += one_connector(document, ("endpoints", name), list(DESTINATIONS))
    return (None if problems else conf), document, problems


def _read_overlay(directory: Path, environment: str | None) -> tuple[Document | None, list[Problem]]:
    if not environment:
        return None, []
    name = f"conf/{environment}.yaml"
    known = sorted(path.stem for path in (directory / "conf").glob("*.yaml") if path.stem != "base")
    if environment not in known:
        hint = did_you_mean(environment, known) or "; the site has no environments"
        return None, [Problem(name, 1, "", f"there is no such environment{hint}")]
    return read_yaml(directory / name, name)


def merged(base: Document, overlay: Document) -> Document:
    """The base with the overlay's values over it, key by key; lists and texts are replaced whole.

    An endpoint whose connector differs in the overlay loses the base's connector.
    """
    result = Document(base.file, None, dict(base.marks), base.broken | overlay.broken)
    result.data = _merge(base.data, overlay.data, (), result.marks, overlay.marks)
    return result


def _merge(under: Any, over: Any, loc: Loc, marks: dict[Loc, Any], over_marks: Mapping[Loc, Any]) -> Any:
    if not (isinstance(under, dict) and isinstance(over, dict)):
        for place in [place for place in marks if place[: len(loc)] == loc]:
            del marks[place]
        marks.update({place: mark for place, mark in over_marks.items() if place[: len(loc)] == loc})
        return over
    result = dict(under)
    if len(loc) == 2 and loc[0] == "endpoints" and any(key in DESTINATIONS for key in over):
        result = {key: value for key, value in under.items() if key not in DESTINATIONS or key in over}
    for key, value in over.items():
        result[key] = _merge(result.get(key), value, (*loc, key), marks, over_marks)
    return result
