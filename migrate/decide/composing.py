"""Composes every planned letter once before anything is sent, so that a fault in a template shows in time (design §2, §8).

A letter that cannot be composed makes its own account `unrenderable`; all other letters go out. The text itself is not kept: a letter is
composed again, from the same facts, when it is sent. Of a prefilled letter only the subject is made here: what can fail has been done for
its skeleton.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pandas as pd

from migrate.core.accounts import conform, words_of
from migrate.core.letters import LETTER_COLUMNS
from migrate.core.moment import Moment
from migrate.core.words import CONFIRMATION
from migrate.decide.decided import Frames, Rules, Samples
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.facts import Facts
from migrate.mail.letter import Letter, message_id

COMPOSED_COLUMNS: Final[dict[str, str]] = LETTER_COLUMNS | {
    "language": "str", "standing": "str", "days_left": "int32", "facts": "str", "subject": "str", "message_id": "str",
}  # fmt: skip
"""A planned letter, with everything that is needed to compose it again."""

_OF_LETTER: Final = ["row", "account_id", "tenure", "kind", "occasion", "told_cutoff", "change_seq", "address", "earlier_cutoff"]
_OF_PERSON: Final = ["username", "display_name", "given_name", "locale", "standing", "methods", "default_method", "phone"]

DRAFT_REFERENCE: Final = "00000000"
"""A placeholder: a letter gets its own reference when it is queued."""


@dataclass(frozen=True, slots=True)
class Composed:
    """`letters`: those that could be composed (`COMPOSED_COLUMNS`). `failed`: row of an account → why its letter could not be composed.
    `samples`: the first letter of each kind and language."""

    letters: pd.DataFrame
    failed: pd.Series
    samples: Samples


def compose(
    letters: pd.DataFrame,
    accounts: pd.DataFrame,
    standing: pd.Series,
    cutoff: pd.Series,
    seen: pd.DataFrame,
    composer: Composer,
    domain: str,
    moment: Moment,
) -> Composed:
    """Composes each of `letters` (`LETTER_COLUMNS`) once.

    `standing` and `cutoff` are aligned with `accounts`. `seen`: the changes that confirmations are about (`OPEN_COLUMNS`). `domain`: the
    sender's, for Message-IDs.
    """
    changes = {(change["account_id"], change["seq"]): change for change in seen.to_dict("records")}
    people = accounts.loc[letters["row"]].assign(standing=standing)[_OF_PERSON]
    people["methods"] = people["methods"].map({bits: words_of(bits) for bits in people["methods"].unique()})
    made: list[tuple[int, str, str, str, str]] = []
    failed: dict[int, str] = {}
    samples: dict[tuple[str, str], Letter] = {}
    numbers, different = pd.factorize(cutoff.loc[letters["row"]])
    cutoffs = [each.to_pydatetime() for each in different]
    for n, (letter, person, number) in enumerate(zip(_plainly(letters[_OF_LETTER]), _plainly(people), numbers, strict=True)):
        own = cutoffs[number]
        change = changes[letter.account_id, letter.change_seq] if letter.kind == CONFIRMATION else None
        facts = _facts(person, change, own if change and own != moment.campaign.cutoff_at else None, letter.earlier_cutoff)
        key = (letter.account_id, str(letter.tenure), letter.occasion, letter.told_cutoff, letter.address)
        identity = message_id(moment.campaign.name, *key, domain=domain)
        try:
            text = composer.compose(
                letter.kind,
                facts,
                to=letter.address,
                reference=DRAFT_REFERENCE,
                message_id=identity,
                occasion=letter.occasion,
                now=moment.now,
                cutoff=own,
            )
        except UnrenderableError as error:
            failed[letter.row] = str(error)
            continue
        made.append((n, text.language, facts.to_json(), text.subject, identity))
        samples.setdefault((letter.kind, text.language), text)
    kept = letters.iloc[[n for n, *_ in made]].reset_index(drop=True)
    extra = pd.DataFrame([rest for _, *rest in made], columns=["language", "facts", "subject", "message_id"])
    extra["standing"] = standing.loc[kept["row"]].to_numpy()
    own_cutoff = cutoff.loc[kept["row"]].reset_index(drop=True)
    extra["days_left"] = own_cutoff.map({each: moment.campaign.days_to(each, moment.now) for each in own_cutoff.unique()})
    return Composed(conform(pd.concat([kept, extra], axis=1), COMPOSED_COLUMNS), pd.Series(failed, dtype="str"), samples)


@dataclass(frozen=True, slots=True)
class Written:
    """What composing came to: the `outcomes` of the accounts, the `letters` to queue (`COMPOSED_COLUMNS`), and how many accounts have one
    (`written_to`)."""

    outcomes: pd.DataFrame
    letters: Frames = ()
    samples: Samples = field(default_factory=dict)
    written_to: int = 0


def written(
    letters: pd.DataFrame,
    accounts: pd.DataFrame,
    standing: pd.Series,
    cutoff: pd.Series,
    seen: pd.DataFrame,
    rules: Rules,
    outcomes: pd.DataFrame,
) -> Written:
    """Composes letters (`compose`), and drops those that an approved plan does not contain.

    `outcomes` are returned with `unrenderable` for accounts none of whose letters could be composed, and `not_in_plan` for accounts whose
    reminder is not in the plan.
    """
    if letters.empty:
        return Written(outcomes)
    composed = compose(letters, accounts, standing, cutoff, seen, rules.composer, rules.domain, rules.moment)
    left_out = rules.left_out(composed.letters)
    going = composed.letters.loc[left_out == "", list(COMPOSED_COLUMNS)]
    failed = composed.failed[~composed.failed.index.isin(composed.letters["row"])]
    left_out = left_out[left_out != ""].set_axis(composed.letters.loc[left_out != "", "row"])
    outcome, reason = outcomes["outcome"].copy(), outcomes["outcome_reason"].copy()
    for word, why in (("unrenderable", failed), ("not_in_plan", left_out)):
        outcome.loc[why.index], reason.loc[why.index] = word, why
    decided = pd.DataFrame({"outcome": outcome, "outcome_reason": reason})
    return Written(decided, (going,), composed.samples, int(going["account_id"].nunique()))


def _plainly(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows as named tuples of plain Python values, without those of numpy."""
    return iter(frame.astype(object).itertuples(index=False))


def _facts(person: Any, change: dict[Hashable, Any] | None, cutoff: datetime | None, earlier: object) -> Facts:
    """What a letter to a person says. `person` is a row of `_OF_PERSON`, with methods as words.

    A confirmation gives the methods at the time of its `change`, and the person's own `cutoff` if that differs from the campaign's. A
    correction gives the `earlier` cutoff, which is written as in the key of a notice.
    """
    return Facts(
        username=person.username,
        display_name=_text(person.display_name),
        given_name=_text(person.given_name),
        locale=_text(person.locale),
        standing=person.standing,
        methods=words_of(change["has"]) if change else person.methods,
        default_method=_text(person.default_method),
        phone=_text(person.phone),
        change=change["change"] if change else None,
        seen_at=change["seen_at"].to_pydatetime() if change else None,
        had=words_of(change["had"]) if change else (),
        cutoff=cutoff,
        earlier_cutoff=datetime.fromisoformat(earlier) if isinstance(earlier, str) else None,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
