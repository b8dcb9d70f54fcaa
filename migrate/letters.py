"""Composing planned letters before anything is sent: one that cannot be composed holds only its own account (design §2, §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from migrate.accounts import conform, words_of
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.facts import Facts
from migrate.mail.letters import Letter, message_id
from migrate.plan import CONFIRMATION, LETTER_COLUMNS, Moment

COMPOSED_COLUMNS: Final[dict[str, str]] = LETTER_COLUMNS | {
    "language": "str", "standing": "str", "days_left": "int32", "facts": "str", "subject": "str", "message_id": "str",
}  # fmt: skip
"""A planned letter that was composed once, and what it takes to compose it again."""

DRAFT_REFERENCE: Final = "XXXXXXXX"
"""Stands where the reference will; a letter gets its own when it is queued."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A letter to look at."""

    kind: str
    letter: Letter


@dataclass(frozen=True, slots=True)
class Composed:
    """`letters`: `COMPOSED_COLUMNS`. `failed`: account row → why its letter could not be composed. `samples`: the first of each kind and
    language, to look at."""

    letters: pd.DataFrame
    failed: pd.Series
    samples: list[Sample]


def compose(
    letters: pd.DataFrame, accounts: pd.DataFrame, standing: pd.Series, seen: pd.DataFrame, composer: Composer, domain: str, moment: Moment
) -> Composed:
    """Composes each letter (`LETTER_COLUMNS`) once. `seen` has the changes that confirmations tell of (`OPEN_COLUMNS`).

    `domain` is the sender's, for the Message-IDs.
    """
    people = accounts.loc[letters["row"]]
    told = {(account_id, seq): (change, at, had, has) for account_id, seq, change, at, had, has in
            seen[["account_id", "seq", "change", "seen_at", "had", "has"]].itertuples(index=False)}  # fmt: skip
    made: list[tuple[int, str, str, str, str]] = []
    failed: dict[int, str] = {}
    samples: dict[tuple[str, str], Sample] = {}
    columns = ["username", "display_name", "given_name", "locale", "methods", "default_method", "phone"]
    at_row = standing.loc[letters["row"]]
    for n, (letter, person, word) in enumerate(
        zip(letters.itertuples(index=False), people[columns].itertuples(index=False), at_row, strict=True)
    ):
        change, seen_at, had, has = (
            told[letter.account_id, letter.change_seq] if letter.kind == CONFIRMATION else (None, None, 0, person.methods)
        )
        facts = Facts(
            username=person.username,
            display_name=_text(person.display_name),
            given_name=_text(person.given_name),
            locale=_text(person.locale),
            standing=word,
            methods=words_of(has),
            default_method=_text(person.default_method),
            phone=_text(person.phone),
            change=change,
            seen_at=None if seen_at is None else seen_at.to_pydatetime(),
            had=words_of(had),
        )
        key = (moment.campaign.name, letter.account_id, str(letter.tenure), letter.occasion, letter.told_cutoff, letter.address)
        identity = message_id(*key, domain=domain)
        try:
            written = composer.compose(
                letter.kind,
                facts,
                to=letter.address,
                reference=DRAFT_REFERENCE,
                message_id=identity,
                occasion=letter.occasion,
                now=moment.now,
            )
        except UnrenderableError as error:
            failed[letter.row] = str(error)
            continue
        made.append((n, written.language, facts.to_json(), written.subject, identity))
        samples.setdefault((letter.kind, written.language), Sample(letter.kind, written))
    kept = letters.iloc[[n for n, *_ in made]].reset_index(drop=True)
    extra = pd.DataFrame([rest for _, *rest in made], columns=["language", "facts", "subject", "message_id"])
    extra["standing"] = standing.loc[kept["row"]].to_numpy()
    extra["days_left"] = moment.campaign.days_left(moment.now)
    return Composed(conform(pd.concat([kept, extra], axis=1), COMPOSED_COLUMNS), pd.Series(failed, dtype="str"), list(samples.values()))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
