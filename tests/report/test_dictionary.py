"""The column dictionary is the tables' own declaration, in words."""

import re
from pathlib import Path

from migrate.files.resources import resource
from migrate.report import tables

README = resource("reports/README.md")


def sections(path: Path) -> dict[str, list[list[str]]]:
    parts = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        part.splitlines()[0]: [
            [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| ")
        ][1:]
        for part in parts
    }


def test_the_dictionary_names_exactly_the_columns_of_every_table_in_order() -> None:
    found = {title: [row[0] for row in rows if row[0] != "---"] for title, rows in sections(README).items()}
    assert found == {f"{table.name}.csv": list(table.columns) for table in tables.TABLES}


def test_the_dictionary_gives_every_column_its_type_and_a_meaning() -> None:
    for table in tables.TABLES:
        for name, of, meaning in (row for row in sections(README)[f"{table.name}.csv"] if row[0] != "---"):
            assert of == table.columns[name], name
            assert meaning
