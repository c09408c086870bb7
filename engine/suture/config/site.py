"""A whole site, read and checked: nothing is started on an error, and every error is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from suture.config.channel import SENDER, SITE, Channel, Route
from suture.config.channel_checks import channel_problems, channel_warnings, routes
from suture.config.conf import ENVIRONMENT, Conf, Endpoint, LimitsSection, read_conf
from suture.config.hl7v2 import misplaced
from suture.config.mappings import Library, read_library
from suture.config.references import resolve
from suture.config.validate import read_filled, validate
from suture.config.yaml_file import Document, unreadable
from suture.connectors.contract import DestinationSettings, SourceSettings
from suture.connectors.registry import DESTINATIONS, SOURCES, DestinationModule, SourceModule
from suture.mapping.compile import Inbound
from suture.mapping.outbound import Renderer
from suture.mapping.outbound_hl7 import Hl7Renderer
from suture.mapping.rules import Rules
from suture.master.stock import StockLevels
from suture.model.errors import ConfigError, Problem
from suture.model.meant import did_you_mean
from suture.store import url as store_url
from suture.wire.hl7v2.standard.profile import Profile


@dataclass(slots=True)
class DestinationFiles:
    """One destination of a channel, resolved. module: the connector; settings: its Config.

    renderer is None for a route that sends the received message on.
    """

    name: str
    route: Route
    endpoint: Endpoint = field(repr=False)
    module: DestinationModule = field(repr=False)
    settings: DestinationSettings = field(repr=False)
    renderer: Renderer | None = field(repr=False)


@dataclass(slots=True)
class ChannelFiles:
    """One channel, resolved and compiled. inbound is None for a pass-through channel, stock where stock is not moved.

    profile is None where no site profile is used. processing_ids: those that are taken in this environment, empty = all.
    """

    name: str
    directory: Path
    config: Channel = field(repr=False)
    inbound: Inbound | None = field(repr=False)
    stock: StockLevels | None = field(repr=False)
    profile: Profile | None = field(repr=False)
    source_module: SourceModule = field(repr=False)
    source_settings: SourceSettings = field(repr=False)
    destinations: dict[str, DestinationFiles] = field(repr=False)
    processing_ids: frozenset[str] = frozenset()


@dataclass(slots=True)
class Site:
    """A site that is right. database_url: of its store; it may hold a password. warnings: what is odd and does no harm."""

    directory: Path
    environment: str | None
    conf: Conf = field(repr=False)
    channels: dict[str, ChannelFiles]
    database_url: str = field(repr=False)
    warnings: list[Problem]


def load_site(directory: Path, environment: str | None, environ: Mapping[str, str]) -> Site:
    """Read and check everything. environment: the file of conf/ over base.yaml, else SUTURE_ENV of environ, else none.

    Raises ConfigError with every problem of every file.
    """
    loader = SiteLoader(directory, environment, environ)
    site = loader.load()
    if site is None or loader.problems:
        raise ConfigError(loader.sorted_problems())
    return site


def load_channel(directory: Path, name: str, environment: str | None, environ: Mapping[str, str]) -> ChannelFiles:
    """Read and check one channel again, with the conf, tables and mappings it uses.

    Raises ConfigError with what is wrong in those; other channels' files may be wrong.
    """
    loader = SiteLoader(directory, environment, environ)
    channel = loader.load_one(name)
    if channel is None or loader.problems:
        raise ConfigError(loader.sorted_problems())
    return channel


class SiteLoader:
    """Reads a site's files and gathers what is wrong in them."""

    def __init__(self, directory: Path, environment: str | None, environ: Mapping[str, str]) -> None:
        self.directory, self.environ = directory, environ
        self.environment = environment or environ.get(ENVIRONMENT) or None
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.channels: dict[str, ChannelFiles] = {}
        self._documents: dict[str, Document] = {}
        self._conf: Conf | None = None
        self._conf_document: Document | None = None
        self._library = Library()

    def load(self) -> Site | None:
        """The site; None when there are problems (see `problems`; `channels` are those that are right)."""
        if not self._begin():
            return None
        names = self._channel_names()
        if not names:
            self.problems.append(Problem("channels", 1, "", "there is no channel; add channels/<name>/channel.yaml"))
        for name in names:
            self._read_channel(name)
        self.problems += self._port_problems()
        unused = self._library.check_unused(rules_of(self._conf)) + self._unused_endpoints()
        if len(self.channels) == len(names):  # what a wrong channel uses is not known
            self.warnings += unused
        self.problems += self._library.problems
        url = self._database_url()
        if self._conf is None or self.problems:
            return None
        return Site(self.directory, self.environment, self._conf, self.channels, url, self.warnings)

    def load_one(self, name: str) -> ChannelFiles | None:
        """One channel; None when it, or what it uses, has problems. Other channels are read for their ports only."""
        if not self._begin():
            return None
        names = self._channel_names()
        if name not in names:
            self.problems.append(Problem(f"channels/{name}", 1, "", f"there is no such channel{did_you_mean(name, names)}"))
            return None
        self._read_channel(name)
        mine = self.problems + self._library.problems_in_use()
        for other in names:
            if other != name:
                self._read_channel(other)
        # The others were there first: a port that two want is a problem of this one.
        self.channels |= {name: found} if (found := self.channels.pop(name, None)) else {}
        self.problems = mine + [p for p in self._port_problems() if p.file.startswith(f"channels/{name}/")]
        return self.channels.get(name)

    def sorted_problems(self) -> list[Problem]:
        """Every problem once, in file and line order."""
        return sorted(dict.fromkeys(self.problems), key=lambda problem: (problem.file, problem.line))

    def _begin(self) -> bool:
        self.problems += unreadable(self.directory)
        if self.problems:
            return False
        if not (self.directory / "conf" / "base.yaml").is_file():
            text = "there is no site here (no conf/base.yaml); name a site's directory, or make one with: suture init DIRECTORY"
            self.problems.append(Problem(str(self.directory), 1, "", text))
            return False
        self._conf, self._conf_document, problems = read_conf(self.directory, self.environment, self.environ)
        self.problems += problems
        self._library = read_library(self.directory)
        return True

    def _channel_names(self) -> list[str]:
        directories = (self.directory / "channels").glob("*/")
        return sorted(path.name for path in directories if path.is_dir() and not path.name.startswith((".", "_")))

    def _read_channel(self, name: str) -> None:
        """Read one channel's file, note its problems, and keep the channel when it has none."""
        file = f"channels/{name}/channel.yaml"
        document, problems = read_filled(self.directory / file, file)
        if document is not None:
            problems += resolve(document, self.directory, self.environ)
            self._documents[name] = document
            problems += self._check_channel(name, document)
        self.problems += problems

    def _check_channel(self, name: str, document: Document) -> list[Problem]:
        problems = list(misplaced(document))
        config, more = validate(document, Channel, self.directory)
        endpoints = list(self._conf_document.section("endpoints")) if self._conf_document else None
        problems += [*more, *channel_problems(document, name, self._library, endpoints)]
        channel = self._compiled(name, config if not problems else None, document)
        if channel is not None:
            self.channels[name] = channel
            problems += [p for to, d in channel.destinations.items() if (p := _needless_set(document, to, d)) is not None]
            self.warnings += channel_warnings(document, self._library)
        return problems

    def _compiled(self, name: str, config: Channel | None, document: Document) -> ChannelFiles | None:
        """The channel with its mappings compiled. They are compiled for their problems even when the channel is wrong."""
        before = len(self._library.problems)
        inbound = self._inbound(name, config, document)
        renderers = {to: self._renderer(route) for to, route in routes(document)}
        asked = document.section("hl7v2", "validate").get("profile")
        profile = self._library.profile(asked) if isinstance(asked, str) else None
        if config is None or self._conf is None or len(self._library.problems) > before:
            return None
        forms = [(config.destinations[to].as_, renderer) for to, renderer in renderers.items()]
        if any(wanted and made is None for wanted, made in [(config.map, inbound), (asked, profile), *forms]):
            return None
        connector, settings = config.source.connector
        own = config.hl7v2.answer.processing_ids
        return ChannelFiles(
            name=name,
            directory=self.directory / "channels" / name,
            config=config,
            inbound=inbound,
            stock=self._library.stock if config.stock else None,
            profile=profile,
            source_module=SOURCES[connector],
            source_settings=limited(settings, self._conf.limits),
            destinations={to: _destination(to, route, self._conf, renderers[to]) for to, route in config.destinations.items()},
            processing_ids=frozenset(self._conf.site.processing_ids if own is None else own),
        )

    def _inbound(self, name: str, config: Channel | None, document: Document) -> Inbound | None:
        mapping = document.section().get("map")
        if not isinstance(mapping, str):
            return None
        key, format = (config.business_key, config.format) if config else (None, "")
        return self._library.inbound(mapping, rules_of(self._conf, config), key or (), name, format)

    def _renderer(self, route: dict[str, Any]) -> Renderer | None:
        form = route.get("as")
        if not isinstance(form, str):
            return None
        return self._library.renderer(form, rules_of(self._conf).zone, "event" if route.get("per") == "event" else "message")

    def _port_problems(self) -> list[Problem]:
        """A port that two listeners want."""
        problems: list[Problem] = []
        taken: list[tuple[str, int, str]] = []
        if self._conf is not None:
            taken.append((self._conf.http.host, self._conf.http.port, "the `http` of conf"))
        for name, channel in self.channels.items():
            host, port = channel.source_settings.listens_on or ("", 0)
            owner = next((who for at, used, who in taken if port and used == port and _overlap(at, host)), None)
            document, loc = self._documents[name], ("source", channel.config.source.connector[0], "port")
            if owner:
                problems.append(document.problem(loc, f"port {port} is taken by {owner} already; choose another"))
            else:
                taken.append((host, port, f"channel {name!r} ({document.file}:{document.mark(loc).line})"))
        return problems

    def _unused_endpoints(self) -> list[Problem]:
        used = {str(route.get("to")) for d in self._documents.values() for _, route in routes(d)}
        document = self._conf_document or Document("conf/base.yaml", {})
        unused = [name for name in document.section("endpoints") if name not in used]
        return [document.problem(("endpoints", name), "no channel delivers to this endpoint") for name in unused]

    def _database_url(self) -> str:
        """The store's URL: of the environment variable, else of the conf."""
        given = self.environ.get(store_url.VARIABLE)
        if given and (problem := store_url.problem(given)):
            self.problems.append(Problem("conf/base.yaml", 1, "store.url", f"{store_url.VARIABLE}, which overrides it: {problem}"))
        url = given or (self._conf.store.url.get_secret_value() if self._conf else "")
        return store_url.located(url, self.directory) if url else ""


def rules_of(conf: Conf | None, channel: Channel | None = None) -> Rules:
    """The rules of a channel for values; those of any, where its file or the conf is wrong and is only looked at for more problems."""
    zone, decimals = (conf.zone, conf.site.money_decimals) if conf else (ZoneInfo("UTC"), 2)
    if channel is None:
        return Rules(zone, decimals=decimals)
    return Rules(
        zone=zone,
        times=None if channel.zone in (SITE, SENDER) else ZoneInfo(channel.zone),
        by_sender=channel.zone == SENDER,
        bounds=channel.bounds,
        decimals=decimals,
    )


def _destination(name: str, route: Route, conf: Conf, renderer: Renderer | None) -> DestinationFiles:
    endpoint = conf.endpoints[route.to]
    connector, settings = endpoint.connector
    return DestinationFiles(name, route, endpoint, DESTINATIONS[connector], settings, renderer)


def _needless_set(document: Document, name: str, destination: DestinationFiles) -> Problem | None:
    """A character set to send in where no HL7 of ours goes."""
    route = destination.route
    if destination.settings.send_as is None:
        return None
    if route.acknowledgement:
        text = f"acknowledgements are in the sender's character set; {route.to} has `send_as`, which has no meaning for them"
        return document.problem(("destinations", name, "acknowledgement"), f"{text}: make an endpoint without it")
    if route.as_ and not isinstance(destination.renderer, Hl7Renderer):
        text = f"{route.as_} is JSON, which is always UTF-8; the endpoint {route.to} has `send_as`, which is for HL7: remove it there"
        return document.problem(("destinations", name, "as"), text)
    return None


def _overlap(one: str, other: str) -> bool:
    everywhere = ("", "0.0.0.0", "::")
    return one == other or one in everywhere or other in everywhere


def limited(settings: SourceSettings, limits: LimitsSection) -> SourceSettings:
    """The source's settings with the site's limits where neither the channel nor the limits' defaults say more."""
    shared = {"limit_bytes": "message_bytes", "connections": "connections", "idle_s": "read_idle_s"}
    given = limits.model_dump(exclude_unset=True)
    open_keys = type(settings).model_fields.keys() - settings.model_fields_set
    update = {key: given[limit] for key, limit in shared.items() if key in open_keys and limit in given}
    return settings.model_copy(update=update) if update else settings
