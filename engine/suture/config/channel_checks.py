"""What only shows when a channel's file is held against the rest of the site.

The checks read the file as written, so that they also speak when something else in it is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from suture.config.channel import SENDER
from suture.config.connector import one_connector
from suture.config.mappings import FORMS, Library
from suture.config.validate import misnamed
from suture.config.yaml_file import Document
from suture.connectors.registry import SOURCES
from suture.formats.registry import PLAIN
from suture.model.errors import Problem
from suture.model.events import EVENT_TYPES
from suture.model.meant import did_you_mean
from suture.wire.hl7v2.exchange import acknowledgement

ANSWER, VALIDATE = ("hl7v2", "answer"), ("hl7v2", "validate")


@dataclass(slots=True)
class Surroundings:
    """What a channel may refer to. endpoints is None when the conf could not be read."""

    library: Library
    endpoints: list[str] | None


def channel_problems(document: Document, name: str, around: Surroundings) -> list[Problem]:
    """Every cross-check of one channel file. name: its directory."""
    data = document.section()
    found: list[Problem | None] = [
        *misnamed(document, "channel", name, "directory"),
        one_connector(document, ("source",), list(SOURCES)),
        *_accept_problems(document, data),
        _refusal_problem(document, data),
        _template_problem(document),
        _application_problem(document),
        _map_problem(document, data, around.library),
        *_stock_problems(document, data, around.library),
        *_value_problems(document, data),
        *_validate_problems(document, around.library),
        *_plain_problems(document, data),
    ]
    for destination, route in routes(document):
        found += _route_problems(document, data, destination, route, around)
    return [problem for problem in found if problem]


def channel_warnings(document: Document, library: Library) -> Iterator[Problem]:
    """What is allowed and probably not meant: types without a trigger, patterns of events that the channel never raises."""
    data = document.data
    for i, kind in _texts(data.get("accept")):
        if "^" not in kind:
            text = f"{kind!r} accepts only messages whose MSH-9 has no trigger event; name it, e.g. DFT^P03"
            yield document.problem(("accept", i), text, ("accept",))
    raised = raised_types(data, library)
    for destination, route in routes(document):
        for i, pattern in _texts(route.get("events")):
            if matches(pattern, EVENT_TYPES) and raised and not matches(pattern, raised):
                place = ("destinations", destination, "events")
                yield document.problem((*place, i), f"{pattern!r} matches none of this channel's events: {', '.join(raised)}", place)


def raised_types(data: dict[str, Any], library: Library) -> list[str]:
    """The types of events that the channel's mapping (and stock) can raise."""
    mapping = library.files.get(str(data.get("map")))
    emits = mapping.document.data.get("emit") if mapping is not None and mapping.kind == "inbound" else None
    raised = [str(emit.get("event")) for emit in emits if isinstance(emit, dict)] if isinstance(emits, list) else []
    return raised + (["replenishment.due"] if raised and _yes(data.get("stock")) else [])


def matches(pattern: str, types: Iterable[str]) -> bool:
    """Does the pattern name one of these types? A pattern is `*`, `charge.*` or a whole type."""
    return any(pattern in ("*", kind) or (pattern.endswith(".*") and kind.startswith(pattern[:-1])) for kind in types)


def _plain_problems(document: Document, data: dict[str, Any]) -> Iterator[Problem]:
    """What means something to HL7 alone, in a channel whose messages are written in something else."""
    name = data.get("format")
    if name not in PLAIN:
        return
    for key in ("hl7v2", "accept"):
        if key in data:
            yield document.problem((key,), f"has no meaning with format: {name}; remove it")
    if data.get("zone") == SENDER:
        yield document.problem(("zone",), f"a message in {name} does not say in which zone it was sent; write site, or the name of a zone")
    source = next(iter(document.section("source")), "")
    settings = document.section("source", source)
    if settings.get("ack", "after_store") != "after_store":
        text = f"a sender of {name} is told that its message is kept, and no more; write after_store, or remove it"
        yield document.problem(("source", source, "ack"), text)
    for destination, route in routes(document):
        if isinstance(route.get("message"), dict) and route["message"]:
            text = f"a message in {name} is passed on as it came; write message: {{}}, or map it"
            yield document.problem(("destinations", destination, "message"), text)


def _accept_problems(document: Document, data: dict[str, Any]) -> Iterator[Problem]:
    for i, kind in _texts(data.get("accept")):
        if acknowledgement.is_one(kind, b""):
            text = f"{kind!r} can never be processed: acknowledgements that arrive as messages are kept and counted, no more; remove it"
            yield document.problem(("accept", i), text, ("accept",))


def _refusal_problem(document: Document, data: dict[str, Any]) -> Problem | None:
    if document.section(*ANSWER).get("unsupported") != "refuse" or data.get("accept"):
        return None
    return document.problem((*ANSWER, "unsupported"), "there is nothing to refuse without `accept`; list the types that are taken there")


def _template_problem(document: Document) -> Problem | None:
    answer = document.section(*ANSWER)
    if answer.get("template") and answer.get("set"):
        return document.problem((*ANSWER, "set"), "has no meaning beside `template`, which is the whole answer; keep one of them")
    return None


def _map_problem(document: Document, data: dict[str, Any], library: Library) -> Problem | None:
    name = data.get("map")
    return _mapping_problem(document, ("map",), name, library, "inbound") if isinstance(name, str) else None


def _mapping_problem(document: Document, loc: tuple[str, ...], name: str, library: Library, kind: str) -> Problem | None:
    file = library.files.get(name)
    if file is None:
        known = library.names(kind) + (list(FORMS) if kind == "outbound" else [])
        return document.problem(loc, f"there is no mappings/{name}.yaml{did_you_mean(name, known)}")
    if file.kind in (kind, ""):
        return None
    needs = "`from:`, for what comes in" if kind == "inbound" else "`to:`, for what goes out"
    hint = did_you_mean(name, library.names(kind))
    return document.problem(loc, f"mappings/{name}.yaml is an {file.kind} mapping; here stands one with {needs}{hint}")


def _stock_problems(document: Document, data: dict[str, Any], library: Library) -> Iterator[Problem]:
    if not _yes(data.get("stock")):
        return
    if "map" not in data:
        yield document.problem(("stock",), "stock is moved by events, and without `map` there are none; add `map` or remove `stock`")
    if "stock" not in library.tables and library.stock is None:
        yield document.problem(("stock",), "needs the opening stock in mappings/tables/stock.csv; add the file or remove `stock`")


def _value_problems(document: Document, data: dict[str, Any]) -> Iterator[Problem]:
    """Settings of how values are read, in a channel that reads none."""
    for key in ("zone", "bounds"):
        if key in data and "map" not in data:
            yield document.problem((key,), "holds for the values that a mapping reads; add `map` or remove the line")


def _validate_problems(document: Document, library: Library) -> Iterator[Problem]:
    section = document.section(*VALIDATE)
    name = section.get("profile")
    if isinstance(name, str) and name not in library.profiles:
        yield document.problem((*VALIDATE, "profile"), f"there is no mappings/profiles/{name}.yaml{did_you_mean(name, library.profiles)}")
    if "profile_mode" in section and "profile" not in section:
        yield document.problem((*VALIDATE, "profile_mode"), "has no meaning without `profile`; name one, or remove the line")
    for key in ("version", "severity"):
        if key in section and section.get("standard", "off") == "off":
            text = "has no meaning while `standard` is off; write standard: report or enforce, or remove the line"
            yield document.problem((*VALIDATE, key), text)


def _yes(value: Any) -> bool:
    return str(value).lower() in ("yes", "true", "on", "y", "t", "1")


def routes(document: Document) -> list[tuple[str, dict[str, Any]]]:
    """The destinations of a channel's file, as they are written."""
    return [(name, route) for name, route in document.section("destinations").items() if isinstance(route, dict)]


def _texts(value: Any) -> list[tuple[int, str]]:
    given = value if isinstance(value, list) else [value]
    return [(i, text) for i, text in enumerate(given) if isinstance(text, str)]


def _route_problems(document: Document, data: dict[str, Any], name: str, route: dict[str, Any], around: Surroundings) -> Iterator[Problem]:
    loc = ("destinations", name)
    to, form = route.get("to"), route.get("as")
    if isinstance(to, str) and around.endpoints is not None and to not in around.endpoints:
        yield document.problem((*loc, "to"), f"there is no endpoint {to!r} in conf{did_you_mean(to, around.endpoints)}")
    if isinstance(form, str) and form not in FORMS:
        problem = _mapping_problem(document, (*loc, "as"), form, around.library, "outbound")
        if problem:
            yield problem
    for i, pattern in _texts(route.get("events")):
        if not matches(pattern, EVENT_TYPES):
            text = f"{pattern!r} matches no event{did_you_mean(pattern, EVENT_TYPES)}"
            yield document.problem((*loc, "events", i), text, place=(*loc, "events"))
    if _yes(route.get("acknowledgement")):
        yield from _acknowledgement_problems(document, data, name, route)
    else:
        yield from _form_problems(document, data, loc, route)


def _acknowledgement_problems(document: Document, data: dict[str, Any], name: str, route: dict[str, Any]) -> Iterator[Problem]:
    loc = ("destinations", name)
    for key in ("as", "events", "per", "message"):
        if key in route:
            yield document.problem((*loc, key), "has no meaning beside `acknowledgement`; keep one of them")
    if document.section(*ANSWER).get("application") != name and "answer" not in data:  # there it is misplaced, and moved first
        text = f"nothing is sent to it; write hl7v2: {{answer: {{application: {name}}}}}, or remove it"
        yield document.problem((*loc, "acknowledgement"), text)


def _application_problem(document: Document) -> Problem | None:
    """Where the application acknowledgements go has to be a destination for them, and they are made when a message is processed."""
    name = document.section(*ANSWER).get("application")
    if not isinstance(name, str):
        return None
    fit = [to for to, route in routes(document) if _yes(route.get("acknowledgement"))]
    if name not in fit:
        text = f"{name!r} is not a destination with `acknowledgement: true`{did_you_mean(name, fit)}"
        return document.problem((*ANSWER, "application"), text)
    settings = next(iter(document.section("source").values()), None)
    if isinstance(settings, dict) and settings.get("ack") == "after_delivery":
        text = "acknowledgements of their own are made when a message is processed; write ack: after_process in the source"
        return document.problem((*ANSWER, "application"), text)
    return None


def _form_problems(document: Document, data: dict[str, Any], loc: tuple[str, str], route: dict[str, Any]) -> Iterator[Problem]:
    if "message" in route:
        for key in ("as", "events", "per"):
            if key in route:
                text = "has no meaning beside `message`, which sends the received message on; keep one of them"
                yield document.problem((*loc, key), text)
        if "map" in data:
            text = "a channel with `map` sends events; make a channel of its own (without `map`) to send received messages on"
            yield document.problem((*loc, "message"), text)
    elif "map" not in data:
        text = "`message` is required, since the channel has no `map` and so no events; write message: {} to send it on as it is"
        yield document.problem(loc, text)
    elif "as" not in route:
        yield document.problem(loc, f"'as' is required: {', '.join(FORMS)} or an outbound mapping")
