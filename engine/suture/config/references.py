"""Secrets and settings from outside the files: ${env:NAME}, ${env:NAME:-default} and ${file:path}."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from suture.config.yaml_file import Document, decode
from suture.model.errors import Problem
from suture.model.meant import nearest

LIMIT_BYTES = 65_536
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<body>[^}]*)\}|\$\{")
_ENV = re.compile(r"env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)


class _Unresolved(Exception):
    """Says what is wrong with one reference, and never what a reference holds."""


def resolve(document: Document, directory: Path, environ: Mapping[str, str]) -> list[Problem]:
    """Replace every reference in the document, in place; `$${` stands for a `${` that is none.

    directory: where relative paths of ${file:...} begin (the site). What a reference gave is noted in
    `document.hidden`; a reference that cannot be resolved becomes a problem and its place is marked as broken.
    """
    problems: list[Problem] = []
    for loc in document.marks:
        value = document.at(loc)
        if not isinstance(value, str) or "${" not in value:
            continue
        found: list[tuple[str, str]] = []
        try:
            text = _REFERENCE.sub(partial(_given, found, directory, environ), value)
        except _Unresolved as error:
            problems.append(document.problem(loc, str(error)))
            document.broken.add(loc)
            continue
        document.put(loc, text)
        if found:
            document.hidden[loc] = [(text, value), *found]
    return problems


def _given(found: list[tuple[str, str]], directory: Path, environ: Mapping[str, str], match: re.Match[str]) -> str:
    """What a reference gives, which is noted in `found`."""
    body = match["body"]
    if match[0] == "$${":
        return "${"
    if body is None:
        raise _Unresolved("a ${ is not closed by a }; write $${ for a ${ that is no reference")
    if env := _ENV.fullmatch(body):
        text = _env(environ, env["name"], env["default"])
    elif body.startswith("file:") and len(body) > len("file:"):
        text = _file(directory, body.removeprefix("file:"))
    else:
        raise _Unresolved(f"${{{body}}} is not a reference; write ${{env:NAME}}, ${{env:NAME:-default}} or ${{file:path}}")
    found.append((text, match[0]))
    return text


def _env(environ: Mapping[str, str], name: str, default: str | None) -> str:
    value = environ.get(name)
    if value:
        return value
    if default is not None:
        return default.removeprefix(":-")
    meant = nearest(name, (known for known in environ if known != name))
    hint = f"did you mean {meant!r}?" if meant else f"set it, or give a default: ${{env:{name}:-default}}"
    raise _Unresolved(f"the environment variable {name!r} is {'not set' if value is None else 'empty'}; {hint}")


def _file(directory: Path, name: str) -> str:
    path = directory / name
    try:
        with path.open("rb") as file:
            raw = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise _Unresolved(f"the file {name!r} does not exist (relative paths begin at the site's directory)") from None
    except OSError:
        raise _Unresolved(f"the file {name!r} cannot be read; check that it is a file and who may read it") from None
    text = decode(raw, name)
    if isinstance(text, Problem) or len(raw) > LIMIT_BYTES:
        raise _Unresolved(f"the file {name!r} is {'not UTF-8 text' if isinstance(text, Problem) else f'larger than {LIMIT_BYTES} bytes'}")
    return text.rstrip("\r\n")
