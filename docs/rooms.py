"""The rooms of the house as the imports have them: which room asks which. `make docs` puts the picture into docs/architecture.md."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "engine" / "suture"
PAGE = Path(__file__).with_name("architecture.md")
BEGIN, END = "<!-- rooms: begin -->", "<!-- rooms: end -->"
"""What stands between them is written from the imports."""


def room_of(module: str) -> str:
    """suture.store.tables is in store; what stands beside the rooms is the composition root, but for control."""
    name = module.split(".")[1] if "." in module else ""
    return name if (PACKAGE / name).is_dir() or name == "control" else "app"


def arrows() -> dict[str, set[str]]:
    """Each room with those that it imports."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(("suture", *path.relative_to(PACKAGE).with_suffix("").parts))
        if module == "suture.__init__":
            continue
        mine = found.setdefault(room_of(module), set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            mine |= {room_of(one) for one in _imported(node) if one.startswith("suture.")} - {room_of(module)}
    return found


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module == "suture":
        return [f"suture.{alias.name}" for alias in node.names if not alias.name.startswith("_")]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def picture() -> str:
    """The rooms and their arrows, without those that a way through other rooms implies."""
    all_ = arrows()
    below: dict[str, set[str]] = {}

    def reach(room: str) -> set[str]:
        if room not in below:
            below[room] = set().union(all_[room], *(reach(one) for one in all_[room]))
        return below[room]

    drawn = [(room, one) for room in all_ for one in all_[room] if not any(one in reach(other) for other in all_[room] - {one})]
    depth = sorted(drawn, key=lambda arrow: (-len(reach(arrow[0])), arrow))
    return "\n".join(["```mermaid", "flowchart TD", *(f"    {room} --> {one}" for room, one in depth), "```"])


def page() -> str:
    """docs/architecture.md with the picture of today."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{picture()}\n\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print("docs/architecture.md has the picture of today")
