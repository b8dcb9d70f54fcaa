"""Summarises why rows were rejected: the most frequent reasons with their numbers, and what to do about their cause (design §4).

`RejectionSummary` gets the rejected rows of a read, part by part. Reasons that differ only in the values they quote count as one, and of
each reason only the number of rows and the first row are kept. So it stays small however many rows were rejected.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.directory.interface import YES_NO

if TYPE_CHECKING:
    from migrate.directory.interface import DirectorySettings

SHOWN: Final = 5
"""How many reasons are printed."""
TOLD: Final = 20
"""How many reasons of a run are kept, and written to JSON."""
OTHERS: Final = "(other reasons)"
_REASONS: Final = 500
"""How many reasons are counted separately. A source may write messages whose values the patterns below do not recognise."""
_WORDS: Final = 20
"""How many words of a yes/no column are named."""

_QUOTED: Final = r"'.*?'( is |; |, |$)"
_NUMBERS: Final = r"\b[0-9][0-9.,]*(?:[Ee]\+[0-9]+)?\b(?:, [0-9]+\b)*(?:, …)?"
_NEXT: Final = re.compile("; (?!export ids|keep ids|open the file)")
"""Separates the reasons of one row. A `; ` before one of these requests to the operator belongs to the reason."""
_SEVERAL: Final = re.compile(r"rows [0-9, …]*(?P<joined>of .* )?have this (?:account_id|username|email) and differ in (?P<columns>.*)")
_LOST: Final = re.compile(r"(?P<column>\w+): '.*?' is what an export writes in place of a list that it lost")
_TWICE: Final = "the same as row "
_FIELDS: Final = re.compile(r"(?P<has>[0-9]+) fields where the header has (?P<expected>[0-9]+)")
_YES_OR_NO: Final = re.compile(r"(?P<ours>\w+): '(?P<word>.*?)' is neither yes nor no")
_TYPE: Final = re.compile(r"account_type: '(?P<word>.*?)' is no type of account")


@dataclass(frozen=True, slots=True)
class Example:
    """A rejected row: its position in the source (1 = first), its id if it has one, and everything that is wrong with it."""

    position: int
    account_id: str | None
    rejection: str


@dataclass(slots=True)
class Reason:
    """A reason without the values and numbers that it quotes, how many rows have it, and the first of them."""

    reason: str
    rows: int
    example: Example

    def facts(self) -> dict[str, Any]:
        """An entry of `rejections` in JSON."""
        example = {name: getattr(self.example, name) for name in ("position", "account_id", "rejection")}
        return {"reason": self.reason, "rows": self.rows, "example": example}


@dataclass(slots=True)
class RejectionSummary:
    """A summary of the rejected rows that were added; `rows` is how many they are.

    `split`: accounts whose rows differ only in the methods; `split_there`: the same for rows of a joined source. `doubled`: rows that equal
    another row. `long`: rows with a field too many. `words`: unknown words of yes/no columns; `types`: of account_type. `lost`: by column,
    lists in whose place the export wrote something else.
    """

    rows: int = 0
    split: int = 0
    split_there: int = 0
    doubled: int = 0
    long: int = 0
    words: dict[str, Counter[str]] = field(default_factory=dict)
    types: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    _reasons: dict[str, Reason] = field(default_factory=dict)

    def add(self, rejected: pd.DataFrame) -> None:
        """Adds rejected rows (`migrate.directory.snapshot.REJECTED_COLUMNS`); all rows of one id come together."""
        if rejected.empty:
            return
        self.rows += len(rejected)
        texts = rejected["rejection"]
        # Thousands of rows have the same text, so each distinct text is handled once.
        number = {str(text): int(rows) for text, rows in texts.value_counts().items()}
        patterns = dict(zip(number, _patterns(list(number)), strict=True))
        first = rejected.sort_values("position").drop_duplicates("rejection")
        for position, account_id, text in zip(first["position"], first["account_id"], first["rejection"], strict=True):
            rows = number[text]
            example = Example(int(position), None if pd.isna(account_id) else account_id, text)
            for reason in dict.fromkeys(patterns[text]):
                self._count(reason, rows, example)
            self._look_at(text, rows)
        alone = texts.map({text: _methods_alone(text) for text in patterns})
        self.split += int(rejected.loc[alone == "here", "account_id"].nunique())
        self.split_there += int(rejected.loc[alone == "there", "account_id"].nunique())

    def _count(self, reason: str, rows: int, example: Example) -> None:
        if reason not in self._reasons and len(self._reasons) >= _REASONS:
            reason = OTHERS
        known = self._reasons.setdefault(reason, Reason(reason, 0, example))
        known.rows += rows
        if example.position < known.example.position:
            known.example = example

    def _look_at(self, text: str, rows: int) -> None:
        self.doubled += rows if text.startswith(_TWICE) else 0
        if fields := _FIELDS.search(text):
            self.long += rows if int(fields["has"]) == int(fields["expected"]) + 1 else 0
        for match in _YES_OR_NO.finditer(text):
            if match["ours"] in YES_NO:
                _tally(self.words.setdefault(match["ours"], Counter()), match["word"], rows)
        for match in _TYPE.finditer(text):
            _tally(self.types, match["word"], rows)
        for column in {match["column"] for match in _LOST.finditer(text)}:
            self.lost[column] += rows

    def reasons(self) -> list[Reason]:
        """The reasons, the most frequent first. A row with several reasons counts for each."""
        return sorted(self._reasons.values(), key=lambda each: (-each.rows, each.reason))[:TOLD]

    def advice(self, settings: DirectorySettings, lost: Mapping[str, int]) -> list[str]:
        """The probable causes of the rejections and what to do, a paragraph each; `lost`: by column, the lists that the export lost."""
        # In a join a list becomes text before it is read; then only the reason of its row tells that it was lost.
        both = {column: max(lost.get(column, 0), self.lost[column]) for column in (*lost, *self.lost)}
        return [*self._told(settings), *(_lost(column, count) for column, count in both.items())]

    def _told(self, settings: DirectorySettings) -> Iterator[str]:
        for count, where, table in ((self.split, "", "[directory]"), (self.split_there, " in a joined source", "its [[directory.join]]")):
            if count:
                who = "1 account has" if count == 1 else f"{count:,} accounts have"
                yield f'{who} several rows{where} that differ in `methods` alone: set `rows = "methods"` under {table}.'
        if self.doubled:
            yield (
                f"{_rows(self.doubled)} equal to another row of the same id: a join or an export that doubles rows. One of each counts; "
                "let the source give every account once."
            )
        if self.long:
            yield (
                f"{_rows(self.long, 'has', 'have')} one field more than the header: a delimiter inside a field that is not quoted, or a "
                "header that lacks a name. Export it with quoted fields, or name its delimiter in [directory] delimiter."
            )
        for ours, words in self.words.items():
            column = settings.columns.get(ours)
            said = f'{"not" if column and column.opposite else "column"} = "{column.theirs if column else ours}"'
            yield (
                f"{ours} has words that are neither yes nor no: {_named(words)}. Say which mean yes and which no, under "
                f'[directory.columns]: `{ours} = {{ {said}, yes = ["…"], no = ["…"] }}`.'
            )
        if self.types:
            column = settings.columns.get("account_type")
            theirs, word = column.theirs if column else "account_type", next(iter(self.types))
            yield (
                f"account_type has words that are no type of account: {_named(self.types)}. Say what they mean, under [directory.columns]: "
                f'`account_type = {{ column = "{theirs}", words = {{ "{word}" = "person" }} }}`.'
            )


def _patterns(texts: list[str]) -> list[list[str]]:
    """The reasons in each text of a rejection, with `…` in place of values and numbers."""
    plain = pc.replace_substring_regex(pa.array(texts, pa.string()), _QUOTED, r"'…'\1")
    plain = pc.replace_substring_regex(plain, _NUMBERS, "…")
    return [_NEXT.split(text) for text in plain.to_pylist()]


def _methods_alone(text: str) -> str:
    """If rows were rejected because they differ only in the methods: `here`, or `there` for rows of a joined source."""
    match = _SEVERAL.fullmatch(text)
    if match is None or match["columns"] != "methods":
        return ""
    return "there" if match["joined"] else "here"


def _tally(words: Counter[str], word: str, rows: int) -> None:
    if word in words or len(words) < _WORDS:
        words[word] += rows


def _named(words: Counter[str]) -> str:
    more = ", …" if len(words) >= _WORDS else ""
    return ", ".join(f"{word!r} ({count:,})" for word, count in words.most_common()) + more


def _rows(count: int, one: str = "is", many: str = "are") -> str:
    return f"1 row {one}" if count == 1 else f"{count:,} rows {many}"


def _lost(column: str, count: int) -> str:
    lists = "1 list was" if count == 1 else f"{count:,} lists were"
    return (
        f"{lists} lost by the export in {column} (`System.Object[]`): join the items into one text before exporting, in PowerShell with "
        "`Select-Object *, @{n='Methods'; e={$_.MethodsRegistered -join ';'}}`."
    )


def lines(rejections: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The most frequent reasons as lines to print, from their `facts`."""
    for each in rejections[:SHOWN]:
        example = each["example"]
        who = f" ({example['account_id']})" if example["account_id"] else ""
        same = "" if example["rejection"] == each["reason"] else f": {example['rejection']}"
        yield f"{each['rows']:,} {'row' if each['rows'] == 1 else 'rows'}: {each['reason']}. Such as row {example['position']}{who}{same}"
    if (more := len(rejections) - SHOWN) > 0:
        yield f"… and {more} more reasons; rejected.csv has every row."


def of(frames: Callable[[], Iterator[pd.DataFrame]]) -> RejectionSummary:
    """The summary of rejected rows that come in frames."""
    summary = RejectionSummary()
    for frame in frames():
        summary.add(frame)
    return summary
