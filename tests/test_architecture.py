"""The house keeps its shape: import directions, homes of third parties, and sizes. A machine checks them, not a reader.

The drawing is the one of docs/architecture.md; an arrow may only point down.
"""

import ast
import importlib
import re
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "engine"
PACKAGE = SOURCES / "suture"

ROWS = [
    ["model"],
    ["wire", "ports"],
    ["formats"],
    ["master", "mapping"],
    ["pipeline"],
    ["conversation"],
    ["orchestration"],
    ["connectors", "store", "observe"],
    ["control", "config"],
    ["app", "supervisor", "guard", "looking", "pace", "runtime", "telling", "commands", "reactor", "validation_pool"],
    ["cli", "api", "console", "sim"],
]
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}
SIBLINGS = ({"connectors", "store", "observe"}, {"wire", "ports"})
"""None of them may import another of its set."""
NO_FORMAT = {"model", "ports", "master", "pipeline", "store", "observe", "orchestration"}
FORMAT_ROOMS = {"wire", "formats", "conversation"}
"""Rooms that know no format may import none of these."""
ROOT = {"app", "supervisor", "guard", "looking", "pace", "runtime", "telling", "commands", "reactor", "validation_pool"}
"""The composition root: app.py builds, supervisor.py has the channels, runtime.py is one of them, commands.py obeys the operator,
looking.py looks at the store for who may not wait, guard.py stops what may not go on, pace.py how much is read, telling.py says how
the engine is, validation_pool.py has the processes that validate large messages, reactor.py has the loop."""

HOMES = {
    "OpenSSL": {"connectors"},
    "aiohttp": {"observe", "sim"},
    "alembic": {"store"},
    "click": {"cli", "sim"},
    "cryptography": {"connectors"},
    "fhir": {"wire"},
    "hl7apy": {"wire"},
    "httptools": {"connectors"},
    "msgspec": {"model"},
    "prometheus_client": {"observe"},
    "psycopg": {"store"},
    "service_identity": {"connectors"},
    "sqlalchemy": {"store"},
    "twisted": {*ROOT, "connectors", "observe", "sim"},
    "uvloop": {"reactor", "sim"},
    "yaml": {"config"},
    "yarl": {"connectors"},
    "zope": {"connectors"},
    "zstandard": {"store"},
    # These two are about data, not about the world: whoever has data may use them, but for the pure rows' own rule below.
    "orjson": set(ROW_OF) - {"model"},
    "pydantic": set(ROW_OF) - {"wire", "formats", "pipeline", "conversation", "store", "observe"},
}
"""Where a third party may be imported. One that is not here has no home yet: choose one."""

FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN, FUNCTION_LINES_MOSTLY = 8, 30
MODULE_LINES_MAX = 400
PARAMETERS_MAX = 8
CLASS_LINES_MAX = 200
CLASS_ATTRIBUTES_MAX = 15


@dataclass(frozen=True)
class Import:
    file: str
    line: int
    part: str
    target: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.part} imports {self.target}"


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCES))


def part_of(module: str) -> str:
    """The room of the house a module is in: suture.store.tables is in store; the package itself is in none."""
    names = module.split(".")
    return names[1] if len(names) > 1 else ""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_of(path: Path) -> str:
    names = path.relative_to(SOURCES).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def targets(node: ast.AST, package: str) -> list[str]:
    """The modules an import statement names; `from x import y` may name the module x.y."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
        source = ".".join(filter(None, [base, node.module]))
        return [f"{source}.{alias.name}" for alias in node.names]
    return []


@cache
def imports() -> tuple[Import, ...]:
    """Every import of the package, wherever it stands: in functions and for type checking too."""
    found = []
    for path in modules():
        module = module_of(path)
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for node in ast.walk(tree_of(path)):
            for target in targets(node, package):
                found.append(Import(name_of(path), getattr(node, "lineno", 0), part_of(module), target))
    return tuple(found)


def inner() -> Iterator[tuple[Import, str]]:
    """Imports of one part of the house by another, with the part they name."""
    for one in imports():
        if one.target.split(".")[0] == "suture":
            part = part_of(one.target)
            if part in ROW_OF and one.part != part:
                yield one, part


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in modules():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def report(title: str, wrong: list[str]) -> None:
    assert not wrong, f"{title}:\n  " + "\n  ".join(sorted(wrong))


def test_every_part_has_a_place_in_the_drawing():
    parts = {part_of(module_of(path)) for path in modules()} - {"", "__main__"}
    report("no row in the drawing", sorted(parts - set(ROW_OF)))


def test_imports_point_down():
    wrong = [str(one) for one, part in inner() if one.part and ROW_OF[part] > ROW_OF[one.part]]
    report("an import that points up", wrong)


def test_siblings_do_not_know_each_other():
    report("siblings", [str(one) for one, part in inner() for siblings in SIBLINGS if {one.part, part} <= siblings])


def test_nothing_but_the_top_row_imports_the_composition_root():
    report("imports app", [str(one) for one, part in inner() if part in ROOT and one.part not in {*ROOT, *ROWS[-1]}])


def test_the_pipeline_and_the_store_know_no_format():
    """They ask ports.format and ports.conversation, whose rooms are put in by config/plan.py."""
    wrong = [str(one) for one, part in inner() if one.part in NO_FORMAT and part in FORMAT_ROOMS]
    report("knows how messages are written", wrong)


def test_inbound_mappings_know_no_format():
    """They ask the model.reading.Reading that they are compiled with. Outbound ones write HL7 themselves."""
    inbound = [one for one, part in inner() if one.part == "mapping" and part in FORMAT_ROOMS]
    report("knows how messages are written", [str(one) for one in inbound if not Path(one.file).name.startswith("outbound")])


def test_few_files_know_a_format_that_comes_in():
    """JSON as an input stands for every format but the first: its own file, and the list."""
    knowing = {one.file for one in imports() if "formats.json" in one.target}
    assert knowing == {"suture/formats/registry.py"}


def test_no_two_parts_import_each_other():
    arrows = {(one.part, part) for one, part in inner()}
    report("a circle", [f"{a} and {b}" for a, b in arrows if a < b and (b, a) in arrows])


def test_third_parties_stay_at_home():
    wrong = []
    for one in imports():
        party = one.target.split(".")[0]
        if party != "suture" and party not in sys.stdlib_module_names and one.part not in HOMES.get(party, set()):
            wrong.append(str(one) if party in HOMES else f"{one} (which has no home in HOMES yet)")
    report("a third party away from home", wrong)


def test_only_the_composition_root_and_the_simulators_import_the_reactor():
    reactor = re.compile(r"twisted\.internet\.(\w*reactor\b)|asyncioreactor")
    report("imports the reactor", [str(one) for one in imports() if one.part not in {"reactor", "sim"} and reactor.search(one.target)])


def test_decisions_take_their_time_and_chance_from_outside():
    pure = {"model", "wire", "formats", "mapping", "master", "pipeline", "conversation", "orchestration"}
    world = {"random", "secrets", "socket", "threading", "asyncio", "sqlite3", "subprocess"}
    wrong = [str(one) for one in imports() if one.part in pure and one.target.split(".")[0] in world]
    clocks = re.compile(r"time\.(time|time_ns|monotonic\w*|perf_counter\w*|sleep)|(datetime|date)\.(now|utcnow|today)|uuid\.uuid[14]")
    for path in modules():
        if part_of(module_of(path)) in pure:
            uses = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute) and clocks.fullmatch(ast.unparse(node))]
            wrong += [f"{name_of(path)}:{node.lineno}: {ast.unparse(node)}" for node in uses]
    report("the world in a pure module", wrong)


def test_only_the_dialect_asks_which_database_it_is():
    """Elsewhere it is asked what matters there: whether it has a file."""
    homes = {"store/dialect.py", "store/rows.py", "store/sqlite.py", "store/url.py"}
    asks = re.compile(r"is_sqlite|get_backend_name|dialect\.name [!=]=|startswith\(\W*(sqlite|postgres)")
    wrong = []
    for path in (path for path in modules() if str(path.relative_to(PACKAGE)) not in homes):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            wrong += [f"{name_of(path)}:{number}: {line.strip()}"] if asks.search(line) else []
    report("asks which database it is", wrong)


def test_functions_are_short():
    sizes = {f"{name_of(path)}:{node.lineno} {node.name}": lines(node) for path, node in functions()}
    report("too long", [f"{place}: {size} lines" for place, size in sizes.items() if size > FUNCTION_LINES_MAX])
    assert statistics.median(sizes.values()) <= FUNCTION_LINES_MEDIAN
    assert sorted(sizes.values())[int(len(sizes) * 0.9)] <= FUNCTION_LINES_MOSTLY


def test_classes_are_small():
    """Lines, and attributes that a class sets of itself."""
    over = []
    for path in modules():
        for node in (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)):
            held = {ast.unparse(one) for one in ast.walk(node) if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store)}
            attributes = sum(name.startswith("self.") and name.count(".") == 1 for name in held)
            size = lines(node)
            if size > CLASS_LINES_MAX or attributes > CLASS_ATTRIBUTES_MAX:
                over.append(f"{name_of(path)} {node.name}: {size} lines, {attributes} attributes")
    report("too large", over)


def test_modules_are_short():
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    report("too long", [f"{name}: {size} lines" for name, size in sizes.items() if size > MODULE_LINES_MAX])


def test_functions_take_few_parameters():
    wrong = []
    for path, node in functions():
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len([name for name in names if name not in ("self", "cls")])
        if count > PARAMETERS_MAX:
            wrong.append(f"{name_of(path)}:{node.lineno} {node.name}: {count} parameters")
    report(f"more than {PARAMETERS_MAX} parameters: pass an object", wrong)


def connectors() -> list[str]:
    """The modules in connectors/ that are one; a module without any of these classes is a helper of them."""
    marks = {"Config", "Source", "Destination"}
    files = {path.stem: tree_of(path) for path in (PACKAGE / "connectors").glob("*.py")}
    return sorted(name for name, tree in files.items() if marks & {node.name for node in tree.body if isinstance(node, ast.ClassDef)})


@pytest.mark.parametrize("name", connectors())
def test_every_connector_is_in_the_registry_with_a_described_config(name: str):
    registry = importlib.import_module("suture.connectors.registry")
    module = importlib.import_module(f"suture.connectors.{name}")
    assert registry.SOURCES.get(name) is module or registry.DESTINATIONS.get(name) is module
    report("no description", [f"{name}.Config.{key}" for key, field in module.Config.model_fields.items() if not field.description])


def test_comments_hide_no_debts():
    wrong = []
    for path in modules():
        with tokenize.open(path) as file:
            comments = [token for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]
        for token in comments:
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b|#\s*type:\s*ignore(?!\[)|#\s*noqa(?!:)", token.string):
                wrong.append(f"{name_of(path)}:{token.start[0]}: {token.string}")
    report("a debt, or an ignore that does not say what", wrong)
