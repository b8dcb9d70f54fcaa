"""How large the package is: `python -m benchmarks.house` prints its rooms, the arrows between them, its modules and its lines.

An arrow is one room that imports from another. `make check` holds that they point one way.
"""

from __future__ import annotations

from collections import Counter

from grimp import build_graph

from benchmarks.process import ROOT

PACKAGE = "migrate"


def main() -> None:
    """Prints the figures, and the modules and lines of each room."""
    graph = build_graph(PACKAGE)
    arrows = set()
    for module in graph.modules - {PACKAGE}:
        for imported in graph.find_modules_directly_imported_by(module) - {PACKAGE}:
            arrows.add((_room(module), _room(imported)))
    modules, lines = Counter[str](), Counter[str]()
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        modules[parts[0]] += 1
        lines[parts[0]] += len(path.read_text(encoding="utf-8").splitlines())
    between = sum(start != end for start, end in arrows)
    rooms = modules.keys() - {"__init__", "__main__"}
    print(f"{len(rooms)} rooms, {between} arrows, {modules.total()} modules, {lines.total():,} lines")
    for room in sorted(rooms):
        print(f"{room:12} {modules[room]:4} modules {lines[room]:7,} lines")


def _room(module: str) -> str:
    return module.split(".")[1]


if __name__ == "__main__":
    main()
