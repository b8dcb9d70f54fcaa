"""The house around the code: what the documents say is there, and what must not be there is not."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from migrate.cli import COMMANDS
from migrate.errors import MigrateError

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "reports" / "README.md"])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def tracked() -> list[Path]:
    """The files of the repository; in an unpacked source distribution, which has no history, all of them."""
    if not (ROOT / ".git").exists():
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts[len(ROOT.parts)]]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_in_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_a_document_names_is_there(document: Path) -> None:
    named = re.findall(r"`((?:migrate|tests|templates/mail|docs|reports)/[\w/.-]+)`", document.read_text(encoding="utf-8"))
    examples = {name for name in named if re.search(r"[A-Z]{3,}", name) and "README" not in name}
    assert [name for name in named if name not in examples and not (ROOT / name).exists()] == []


def test_the_readme_lists_every_command_and_no_other() -> None:
    listed = re.findall(r"^\| `migrate ([\w-]+)", text("README.md"), flags=re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_a_document_can_be_typed(document: Path) -> None:
    lines = document.read_text(encoding="utf-8")
    typed = re.findall(r"(?:^|`|&& |bin/)migrate (?:--config \S+ )?([a-z][\w-]*)", lines, flags=re.MULTILINE)
    assert set(typed) - set(COMMANDS) == set()


def test_every_command_that_an_error_tells_to_type_can_be_typed() -> None:
    told = {
        f"{path.relative_to(ROOT)}: {command}"
        for path in (ROOT / "migrate").rglob("*.py")
        for command in re.findall(r"`migrate (?:--config \S+ )?([a-z][\w-]*)", path.read_text(encoding="utf-8"))
        if command not in COMMANDS
    }
    assert told == set()


def test_the_readme_lists_every_exit_code_of_an_error() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", text("README.md"), flags=re.MULTILINE)}
    raised = {error.exit_code for error in (MigrateError, *MigrateError.__subclasses__())}
    assert raised | {0, 5} == listed


def test_the_map_names_every_room_and_no_other() -> None:
    rows = re.search(r"## Rooms.*?\n\n(\|.*?)\n\n## ", text("docs/map.md"), flags=re.DOTALL)
    assert rows
    listed = [name.rstrip("/") for line in rows[1].splitlines()[2:] for name in re.findall(r"`([\w/]+)`", line.split("|")[1])]
    package = ROOT / "migrate"
    rooms = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    assert sorted(listed) == sorted(rooms - {"__init__", "__main__"})


def test_the_map_draws_the_layers_that_are_held() -> None:
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    held = [sorted(re.findall(r"\w+", layer)) for layer in layers]
    rows = text("docs/map.md").partition("## Rooms")[2].partition("\n## ")[0].splitlines()
    drawn = [sorted(name.rstrip("/") for name in re.findall(r"`([\w/]+)`", row.split("|")[1])) for row in rows if row.startswith("| `")]
    assert drawn == held


def test_the_glossary_has_one_entry_a_word() -> None:
    words = re.findall(r"^\| ([a-z][\w ]*?) \|", text("docs/glossary.md"), flags=re.MULTILINE)
    words = [word for word in words if word != "word"]
    assert len(words) > 20
    assert len(set(words)) == len(words)


def test_no_room_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [path for path in (ROOT / "migrate").rglob("*.py") if drawers & set(path.stem.split("_"))] == []


def takes_away(call: ast.Call) -> bool:
    """Whether a call may remove, rename or write over a file or a folder, or copies a tree."""
    if not isinstance(call.func, ast.Attribute):
        return False
    of, plain = call.func.value, len(call.args) == 1 and not call.keywords
    module = of.id if isinstance(of, ast.Name) else ""
    match call.func.attr:
        case "rmtree" | "unlink" | "rmdir" | "removedirs" | "renames" | "copytree" | "hardlink_to" | "mkstemp" | "mkdtemp":
            return True
        case "rename" | "replace":  # a column, a text or a date is renamed or replaced in another way
            return module == "os" or plain
        case "remove" | "move":
            return module in ("os", "shutil")
    return False


def test_only_one_room_takes_anything_away() -> None:
    package, found = ROOT / "migrate", []
    for path in sorted(package.rglob("*.py")):
        if path.parent == package / "files":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and takes_away(node)]
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import) and "tempfile" in {each.name for each in node.names}]
        found += [f"{path.relative_to(ROOT)}:{node.lineno}" for node in (*calls, *imports)]
    assert found == []


SQL_ROOMS = ("ledger", "outbox", "directory")
"""The rooms that may build SQL: two for our own database, and the one that reads the customer's."""
HANDLED = {"Connection", "Row", "RowMapping", "exc"}
"""What every other room may name of SQLAlchemy: a transaction that it hands on, a row that it got, an error that it meets."""


def sql_in(source: str) -> list[int]:
    """The lines of a module that name more of SQLAlchemy than `HANDLED`, or hand a statement to the driver."""
    tree, lines = ast.parse(source), []
    names = {
        each.asname or each.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for each in node.names
        if each.name.partition(".")[0] == "sqlalchemy"
    }
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=attr) if module in names and attr not in HANDLED:
                lines.append(node.lineno)
            case ast.Attribute(attr="exec_driver_sql"):
                lines.append(node.lineno)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] == "sqlalchemy" and module != "sqlalchemy.exc":
                lines += [node.lineno for each in node.names if each.name not in HANDLED]
    return lines


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import sqlalchemy as sa\n\ndef of(connection: sa.Connection, row: sa.RowMapping) -> None: ...", []),
        ("from sqlalchemy.exc import IntegrityError", []),
        ("import sqlalchemy as sa\nwanted = sa.select(t.c.id)", [2]),
        ("def of(connection):\n    import sqlalchemy\n    return connection.execute(sqlalchemy.text('SELECT 1'))", [3]),
        ("from sqlalchemy import select", [1]),
        ("connection.exec_driver_sql('PRAGMA integrity_check')", [1]),
    ],
)
def test_a_module_that_builds_sql_is_found(source: str, lines: list[int]) -> None:
    assert sql_in(source) == lines


def test_sql_stands_in_the_rooms_of_the_ledger_the_outbox_and_the_directory_alone() -> None:
    package = ROOT / "migrate"
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(package.rglob("*.py"))
        if path.relative_to(package).parts[0] not in SQL_ROOMS
        for line in sql_in(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", ".ci/privacyidea.lock"])
def test_a_lock_pins_by_hash_and_names_no_host(lock: str) -> None:
    lines = text(lock).splitlines()
    assert not [line for line in lines if re.search(r"https?:|--(?:extra-)?index|--find-links|file:", line)]
    pins = [line for line in lines if re.match(r"[\w.-]+(\[[\w,-]+\])?==", line)]
    assert len(pins) > 30
    hashed = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==[^\n]*\\\n    --hash=sha256:", text(lock), flags=re.MULTILINE)
    assert len(hashed) == len(pins)


def test_the_locks_agree() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^([\w.-]+(?:\[[\w,-]+\])?==\S+)", text(lock), flags=re.MULTILINE))

    assert pins("requirements.lock") - pins("requirements-dev.lock") == set()


def test_every_dependency_is_locked() -> None:
    project = PROJECT["project"]
    of_people = ("postgres", "mysql", "xlsx", "fast", "microsoft", "google", "entra", "privacyidea")
    extras = [line for extra in of_people for line in project["optional-dependencies"][extra]]
    names = [re.split(r"[\[><=!~; ]", line)[0] for line in [*project["dependencies"], *extras, *PROJECT["dependency-groups"]["build"]]]
    lock = text("requirements.lock")
    assert [name for name in names if not re.search(rf"^{re.escape(name)}(\[[\w,-]+\])?==", lock, flags=re.MULTILINE)] == []


def test_an_install_hint_names_this_distribution_and_an_extra_it_has() -> None:
    extras = set(PROJECT["project"]["optional-dependencies"])
    wrong = []
    for path in [*(ROOT / "migrate").rglob("*.py"), *DOCUMENTS]:
        for name, extra in re.findall(r"pip install (?:-U )?'?([\w-]*migrate)(?:\[([\w{}]+)\])?", path.read_text(encoding="utf-8")):
            if name != "sms-migrate" or not (extra in extras or extra in ("", "{extra}")):
                wrong.append(f"{path.relative_to(ROOT)}: {name}[{extra}]")
    assert wrong == []


def test_nothing_names_a_machine_or_a_package_index() -> None:
    # Put together here, so that this file does not find itself.
    forbidden = re.compile("|".join(["/wo" + "rk/", r"index-" + r"url\b", r"https?://[^\s\"']*/sim" + "ple", "/root" + "/"]))
    makers = {"Makefile"}  # its option keeps the hosts out of the locks
    found = []
    for path in tracked():
        if path.name in makers:
            continue
        try:
            content = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {hit[0]}" for hit in forbidden.finditer(content)]
    assert found == []


def test_ci_runs_what_the_readme_says_on_every_peer() -> None:
    script = text(".ci/run")
    assert "MIGRATE_REQUIRE_PEERS=1 make test" in script
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_make_offers_what_the_documents_promise() -> None:
    promised = {
        target for path in DOCUMENTS for target in re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), flags=re.MULTILINE))
    assert promised <= targets
    assert {"demo", "test", "check", "lock", "clean", "wheel"} <= targets
