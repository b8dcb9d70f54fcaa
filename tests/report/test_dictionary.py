"""The column dictionary is the tables' own declaration, in words."""

import csv

from report.conftest import SUMMARY, FrameChronicle

from migrate.files.resources import resource
from migrate.report import dictionary, evidence, tables
from migrate.report.settings import ReportsSettings

README = resource("reports/README.md")


def test_the_readme_is_what_the_declaration_makes_of_it() -> None:
    text = README.read_text(encoding="utf-8")
    assert dictionary.readme(text) == text, "type `python -m migrate.report.dictionary`"


def test_every_column_of_every_table_is_told_and_nothing_else_is() -> None:
    for table in tables.TABLES:
        told = set(dictionary.MEANINGS[table.name])
        same = set(dictionary.MEANINGS["accounts"]) if table is tables.ACTION_LIST else set()
        assert told <= set(table.columns) <= told | same, table.name
        assert all(dictionary.meaning(table, name).text for name in table.columns)
    assert set(dictionary.MEANINGS) == set(dictionary.ROWS) == {table.name for table in tables.TABLES}


def test_columns_csv_has_every_column_of_every_table_with_its_type_unit_and_words(
    chronicle: FrameChronicle, csv_only: ReportsSettings
) -> None:
    found = evidence.write(chronicle, csv_only, SUMMARY)
    assert found is not None
    with (found.folder / "columns.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for table in tables.TABLES:
        header = (found.folder / f"{table.name}.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
        assert [row["column"] for row in rows if row["file"] == f"{table.name}.csv"] == header
    by_name = {(row["file"], row["column"]): row for row in rows}
    assert by_name["accounts.csv", "days_left"] == {
        "file": "accounts.csv",
        "column": "days_left",
        "type": "integer",
        "unit": "days",
        "words": "",
        "meaning": "calendar days from the as-of day to the cutoff day; negative after it",
    }
    assert by_name["action-list.csv", "cutoff"]["unit"] == "UTC"
    assert by_name["accounts.csv", "destination"]["words"] == "yes, no, unknown"


def test_no_word_in_a_table_is_one_that_the_dictionary_does_not_have(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    found = evidence.write(chronicle, csv_only, SUMMARY)
    assert found is not None
    for table in tables.TABLES:
        with (found.folder / f"{table.name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        for name in table.columns:
            words = dictionary.meaning(table, name).words
            seen = {word for row in rows for word in row[name].split(",")} - {"", tables.TOTAL}
            assert not words or seen <= set(words), (table.name, name)


def test_what_stands_above_the_tables_of_the_readme_stays() -> None:
    head = "# Reports\n\nWhat stands above stays.\n"
    made = dictionary.readme(head + "\n## accounts.csv\n\nsay nothing of this\n")
    assert made.startswith(head)
    assert "nothing of this" not in made
    assert made == dictionary.readme(made)
