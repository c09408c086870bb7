"""The documentation says what the program does: pages written from code are current, and nothing that has a name is left out."""

import ast
import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from suture.cli.main import cli as command
from suture.config.validate import validate
from suture.config.yaml_file import parse_yaml
from suture.connectors.registry import DESTINATIONS, SOURCES
from suture.observe.metrics import Metrics
from suture.wire.hl7v2.standard import dictionary
from tests.test_architecture import ROOT, ROW_OF, ROWS

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").rglob("*.md"))]
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
CARRIERS = dict.fromkeys(("Accepted", "TryLater", "Rejected", "Held", "Ambiguous", "Unavailable", "note", "refuse", "quarantine"), 0)
CARRIERS |= {"MessageError": 1}
"""Calls that carry a code, even one without an underscore (CONNECT), and the number of the argument it is."""


def read(name: str) -> str:
    return (TOP / name).read_text(encoding="utf-8")


def reference() -> ModuleType:
    return loaded("make_reference")


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOP / "docs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["configuration.md", "events.md", "commands.md"])
def test_the_reference_is_what_the_code_says(name: str):
    assert read(f"docs/reference/{name}") == reference().pages()[name], "not current: run `make docs`"


MODELS = [model for _, _, model in reference().SECTIONS] + [module.Config for module in (*SOURCES.values(), *DESTINATIONS.values())]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__module__)
def test_every_key_is_described(model: type[BaseModel]):
    assert [key for key, info in reference().fields(model, "") if not info.description] == []


def test_the_picture_of_the_rooms_is_what_the_imports_say():
    assert read("docs/architecture.md") == loaded("rooms").page(), "not current: run `make docs`"


def test_the_drawing_has_the_floors_that_are_held():
    drawn = read("docs/architecture.md").split("```")[1].strip().splitlines()
    rooms = [{word for word in line.partition("     ")[0].split() if word in ROW_OF} for line in reversed(drawn)]
    assert rooms == [set(row) - (ROOT - {"app"}) for row in ROWS]


def test_the_rooms_of_the_page_are_there():
    page = read("docs/architecture.md")
    rows = re.findall(r"^\| ((?:`[a-z_.]+/?`(?:, )?)+) \|", page, re.MULTILINE)
    parts = [name for row in rows for name in re.findall(r"`([a-z_./]+)`", row)]
    assert len(parts) > 15
    assert not [name for name in parts if not (TOP / "engine" / "suture" / name).exists()]
    walked = page.partition("## The way of a message through the rooms")[2].partition("\n## ")[0]
    files = re.findall(r"`((?:[a-z0-9_]+/)+[a-z0-9_*]+\.py)`", walked)
    assert len(files) > 20
    assert not [name for name in files if not list((TOP / "engine" / "suture").glob(name))]


def test_every_exit_code_is_explained():
    page = read("docs/operations.md")
    assert not [code for code, _ in reference().exit_codes() if f"| {code} |" not in page]


SPEAKERS = (
    "wire/**/*.py",
    "mapping/**/*.py",
    "pipeline/**/*.py",
    "connectors/**/*.py",
    "store/**/*.py",
    "model/**/*.py",
    "ports/**/*.py",
    "formats/**/*.py",
    "conversation/**/*.py",
    "reactor.py",
)
"""The parts that give codes to messages, deliveries and log lines."""


def is_data_type(name: str) -> bool:
    """Is it a data type of HL7 (CM_PAT_ID), whose name looks like a code?"""
    return any(dictionary.components(version, name) for version in dictionary.VERSIONS)


def codes() -> set[str]:
    found = set()
    for path in (path for part in SPEAKERS for path in (TOP / "engine" / "suture").glob(part)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tree.body = [node for node in tree.body if not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")]
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                found.add(node.value)
            if isinstance(node, ast.Constant) and (begin := re.match(r"([A-Z][A-Z0-9_]{2,}): ", str(node.value))):
                found.add(begin[1])
            if isinstance(node, ast.Call):
                place = CARRIERS.get(getattr(node.func, "attr", getattr(node.func, "id", "")))
                given = node.args[place] if place is not None and len(node.args) > place else None
                if isinstance(given, ast.Constant) and re.fullmatch("[A-Z][A-Z0-9]{2,}", str(given.value)):
                    found.add(given.value)
    return {name for name in found if not is_data_type(name)}


def test_every_error_code_is_explained():
    page = read("docs/errors.md")
    assert not [code for code in sorted(codes()) if f"`{code}`" not in page]


def test_every_code_that_is_explained_exists():
    explained = {code for code in re.findall(r"`([A-Z0-9_]+)`", read("docs/errors.md")) if CODE.fullmatch(code)}
    assert not sorted(explained - codes())


def test_every_metric_is_explained():
    page = read("docs/operations.md")
    families = [family.name for family in text_string_to_metric_families(Metrics().page()().decode())]
    names = {name for name in families if name.startswith("suture_")}
    assert len(names) > 10
    assert not [name for name in sorted(names) if f"`{name}`" not in page and f"`{name}_total`" not in page]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    links = re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
    targets = [(page.parent / name if name else page, anchor) for name, anchor in links]
    assert not [target for target, _ in targets if not target.exists()]
    assert not [f"{target.name}#{anchor}" for target, anchor in targets if anchor and anchor not in anchors(target)]


def anchors(page: Path) -> set[str]:
    """What the headings of a page are reached by, as the usual renderers make it of their words."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def shown_commands() -> list[tuple[str, str]]:
    """Every `suture ...` line of the shell blocks, without its comment."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            found += [(page.name, line.split("  #")[0].strip()) for line in block.splitlines() if line.startswith("suture ")]
    return found


@pytest.mark.parametrize("page, line", shown_commands())
def test_commands_that_are_shown_can_be_typed(page: str, line: str):
    words = shlex.split(line)[1:]
    one: click.Command = command
    context = click.Context(command, info_name="suture")
    while isinstance(one, click.Group) and words and not words[0].startswith("-"):
        found = one.get_command(context, words[0])
        assert found is not None, f"{page}: there is no such command: {line}"
        one, words = found, words[1:]
    known = {name for parameter in one.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert not [word for word in words if word.startswith("--") and word.split("=")[0] not in known], f"{page}: {line}"


def shown_files() -> list[tuple[str, str]]:
    """Every YAML block: a file of a site, or a part of one."""
    return [(page.name, block) for page in PAGES for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)]


@pytest.mark.parametrize("page, text", shown_files(), ids=lambda given: given.partition("\n")[0])
def test_files_that_are_shown_can_be_written(page: str, text: str):
    document, problems = parse_yaml(text, page)
    assert document is not None and not problems, problems
    kinds = {title: validate(document, model)[1] for title, _, model in reference().SECTIONS}
    wrong = {title: [str(one) for one in found if not one.text.endswith("is required")] for title, found in kinds.items()}
    assert [] in wrong.values(), min(wrong.values(), key=len)


def test_every_command_says_what_it_does():
    def walk(one: click.Command, path: str) -> list[str]:
        children = one.commands if isinstance(one, click.Group) else {}
        silent = [] if one.help else [path]
        return silent + [line for name, child in children.items() for line in walk(child, f"{path} {name}")]

    assert not walk(command, "suture")


def test_make_help_knows_every_target():
    makefile = read("Makefile")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    assert targets == set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
