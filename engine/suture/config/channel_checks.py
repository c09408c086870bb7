"""What only shows when a channel's file is held against the rest of the site.

The checks read the file as written, so that they also speak when something else in it is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from suture.config.channel import SENDER
from suture.config.connector import one_connector
from suture.config.mappings import STOCK, Library
from suture.config.validate import misnamed
from suture.config.yaml_file import Document
from suture.connectors.registry import SOURCES
from suture.formats.registry import PLAIN
from suture.mapping.outbound import BUILT_IN
from suture.model.errors import Problem
from suture.model.events import EVENT_TYPES
from suture.model.meant import did_you_mean
from suture.wire.hl7v2.exchange import acknowledgement

ANSWER, VALIDATE = ("hl7v2", "answer"), ("hl7v2", "validate")


def channel_problems(document: Document, name: str, library: Library, endpoints: list[str] | None) -> Iterator[Problem]:
    """Every cross-check of one channel file. name: its directory. endpoints: of conf; None when it could not be read."""
    yield from misnamed(document, "channel", name, "directory")
    yield from one_connector(document, ("source",), list(SOURCES))
    yield from _accept_problems(document)
    yield from _answer_problems(document)
    yield from _application_problems(document)
    yield from _map_problems(document, library)
    yield from _validate_problems(document, library)
    yield from _plain_problems(document)
    for destination, route in routes(document):
        yield from _route_problems(document, destination, route, library, endpoints)


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


def routes(document: Document) -> list[tuple[str, dict[str, Any]]]:
    """The destinations of a channel's file, as they are written."""
    return [(name, route) for name, route in document.section("destinations").items() if isinstance(route, dict)]


def _there(document: Document, loc: tuple[str, ...], keys: tuple[str, ...], text: str) -> list[Problem]:
    """A problem for each of the keys that stands in the section, where it means nothing."""
    return [document.problem((*loc, key), text) for key in keys if key in document.section(*loc)]


def _accept_problems(document: Document) -> Iterator[Problem]:
    for i, kind in _texts(document.section().get("accept")):
        if acknowledgement.is_one(kind, b""):
            text = f"{kind!r} can never be processed: acknowledgements that arrive as messages are kept and counted, no more; remove it"
            yield document.problem(("accept", i), text, ("accept",))


def _answer_problems(document: Document) -> Iterator[Problem]:
    answer = document.section(*ANSWER)
    if answer.get("unsupported") == "refuse" and not document.section().get("accept"):
        text = "there is nothing to refuse without `accept`; list the types that are taken there"
        yield document.problem((*ANSWER, "unsupported"), text)
    if answer.get("template") and answer.get("set"):
        yield document.problem((*ANSWER, "set"), "has no meaning beside `template`, which is the whole answer; keep one of them")


def _application_problems(document: Document) -> Iterator[Problem]:
    """Where the application acknowledgements go has to be a destination for them, and they are made when a message is processed."""
    name = document.section(*ANSWER).get("application")
    if not isinstance(name, str):
        return
    fit = [to for to, route in routes(document) if _yes(route.get("acknowledgement"))]
    if name not in fit:
        text = f"{name!r} is not a destination with `acknowledgement: true`{did_you_mean(name, fit)}"
        yield document.problem((*ANSWER, "application"), text)
    elif _source(document)[1].get("ack") == "after_delivery":
        text = "acknowledgements of their own are made when a message is processed; write ack: after_process in the source"
        yield document.problem((*ANSWER, "application"), text)


def _map_problems(document: Document, library: Library) -> Iterator[Problem]:
    """The mapping, and what is about the events and values that come of one."""
    data = document.section()
    if isinstance(name := data.get("map"), str):
        yield from _mapping_problems(document, ("map",), name, library, "inbound")
    if _yes(data.get("stock")):
        if "map" not in data:
            yield document.problem(("stock",), "stock is moved by events, and without `map` there are none; add `map` or remove `stock`")
        if STOCK not in library.tables:
            yield document.problem(("stock",), "needs the opening stock in mappings/tables/stock.csv; add the file or remove `stock`")
    if "map" not in data:
        yield from _there(document, (), ("zone", "bounds"), "holds for the values that a mapping reads; add `map` or remove the line")


def _mapping_problems(document: Document, loc: tuple[str, ...], name: str, library: Library, kind: str) -> Iterator[Problem]:
    file, known = library.files.get(name), library.names(kind)
    if file is None:
        known += list(BUILT_IN) if kind == "outbound" else []
        yield document.problem(loc, f"there is no mappings/{name}.yaml{did_you_mean(name, known)}")
    elif file.kind not in (kind, ""):
        needs = "`from:`, for what comes in" if kind == "inbound" else "`to:`, for what goes out"
        text = f"mappings/{name}.yaml is an {file.kind} mapping; here stands one with {needs}{did_you_mean(name, known)}"
        yield document.problem(loc, text)


def _validate_problems(document: Document, library: Library) -> Iterator[Problem]:
    section = document.section(*VALIDATE)
    name = section.get("profile")
    if isinstance(name, str) and name not in library.profiles:
        yield document.problem((*VALIDATE, "profile"), f"there is no mappings/profiles/{name}.yaml{did_you_mean(name, library.profiles)}")
    if "profile" not in section:
        yield from _there(document, VALIDATE, ("profile_mode",), "has no meaning without `profile`; name one, or remove the line")
    if section.get("standard", "off") == "off":
        text = "has no meaning while `standard` is off; write standard: report or enforce, or remove the line"
        yield from _there(document, VALIDATE, ("version", "severity"), text)


def _plain_problems(document: Document) -> Iterator[Problem]:
    """What means something to HL7 alone, in a channel whose messages are written in something else."""
    data = document.section()
    name = data.get("format")
    if not isinstance(name, str) or name not in PLAIN:
        return
    yield from _there(document, (), ("hl7v2", "accept"), f"has no meaning with format: {name}; remove it")
    if data.get("zone") == SENDER:
        yield document.problem(("zone",), f"a message in {name} does not say in which zone it was sent; write site, or the name of a zone")
    source, settings = _source(document)
    if settings.get("ack", "after_store") != "after_store":
        text = f"a sender of {name} is told that its message is kept, and no more; write after_store, or remove it"
        yield document.problem(("source", source, "ack"), text)
    for destination, route in routes(document):
        if isinstance(route.get("message"), dict) and route["message"]:
            text = f"a message in {name} is passed on as it came; write message: {{}}, or map it"
            yield document.problem(("destinations", destination, "message"), text)


def _source(document: Document) -> tuple[str, dict[str, Any]]:
    """The connector of the source, and its settings, as they are written."""
    name = next(iter(document.section("source")), "")
    return name, document.section("source", name)


def _yes(value: Any) -> bool:
    return str(value).lower() in ("yes", "true", "on", "y", "t", "1")


def _texts(value: Any) -> list[tuple[int, str]]:
    given = value if isinstance(value, list) else [value]
    return [(i, text) for i, text in enumerate(given) if isinstance(text, str)]


def _route_problems(
    document: Document, name: str, route: dict[str, Any], library: Library, endpoints: list[str] | None
) -> Iterator[Problem]:
    loc = ("destinations", name)
    to, form = route.get("to"), route.get("as")
    if isinstance(to, str) and endpoints is not None and to not in endpoints:
        yield document.problem((*loc, "to"), f"there is no endpoint {to!r} in conf{did_you_mean(to, endpoints)}")
    if isinstance(form, str) and form not in BUILT_IN:
        yield from _mapping_problems(document, (*loc, "as"), form, library, "outbound")
    for i, pattern in _texts(route.get("events")):
        if not matches(pattern, EVENT_TYPES):
            text = f"{pattern!r} matches no event{did_you_mean(pattern, EVENT_TYPES)}"
            yield document.problem((*loc, "events", i), text, place=(*loc, "events"))
    if _yes(route.get("acknowledgement")):
        yield from _acknowledgement_problems(document, loc)
    else:
        yield from _form_problems(document, loc, route)


def _acknowledgement_problems(document: Document, loc: tuple[str, str]) -> Iterator[Problem]:
    text = "has no meaning beside `acknowledgement`; keep one of them"
    yield from _there(document, loc, ("as", "events", "per", "message"), text)
    misplaced = "answer" in document.section()  # that is told, and mended first
    if document.section(*ANSWER).get("application") != loc[1] and not misplaced:
        text = f"nothing is sent to it; write hl7v2: {{answer: {{application: {loc[1]}}}}}, or remove it"
        yield document.problem((*loc, "acknowledgement"), text)


def _form_problems(document: Document, loc: tuple[str, str], route: dict[str, Any]) -> Iterator[Problem]:
    mapped = "map" in document.section()
    if "message" in route:
        text = "has no meaning beside `message`, which sends the received message on; keep one of them"
        yield from _there(document, loc, ("as", "events", "per"), text)
        if mapped:
            text = "a channel with `map` sends events; make a channel of its own (without `map`) to send received messages on"
            yield document.problem((*loc, "message"), text)
    elif not mapped:
        text = "`message` is required, since the channel has no `map` and so no events; write message: {} to send it on as it is"
        yield document.problem(loc, text)
    elif "as" not in route:
        yield document.problem(loc, f"'as' is required: {', '.join(BUILT_IN)} or an outbound mapping")
