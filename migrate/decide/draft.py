"""The draft of a run: everything it will record, queue and withdraw, decided and not done yet (design §2).

What goes in: a snapshot of the directory, what the ledger remembers (`Prior`), the `Rules`, and what is known of the last read, if
anything is (`Reuse`). What comes out: a `Draft`, whose frames are in files of a private folder. In order:

1. every range of ids is decided by itself (`ranges.decide`), which gives a `Decided`;
2. accounts with a change to confirm are finished after all ranges, because that takes the addresses of everybody (`confirming.confirm`);
3. the parts are added up (`_summed`), and the counts must agree, or nothing is recorded.

A run records the draft, delivers and reports; a dry run shows it. Nothing here knows which of the two it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core.accounts import RECORD_COLUMNS, empty
from migrate.core.kinds import MANDATORY
from migrate.decide.confirming import SEQ_COLUMNS, Cases, addresses_had, confirm, held_by_nobody_else
from migrate.decide.decided import Decided, Rules, Samples, Tally, added
from migrate.decide.ranges import decide, prepared
from migrate.directory.snapshot import Snapshot
from migrate.errors import MigrateError
from migrate.files.spill import Sorted, Spill
from migrate.incremental import Part, Reuse
from migrate.ledger.prior import Prior
from migrate.mail.letter import Letter
from migrate.process.prefetch import ahead

_SPILLED: Final = ("changes", "letters", "withdrawn", "unsaid", "rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Tally):
    """What a run will do: the counts (`Tally`), and frames in private files.

    * `records`: `RECORD_COLUMNS`, `plain` (`migrate.incremental`), `differs` and `anew` (`migrate.core.remember.differs`) of every account
      that was decided, whether it was read, is gone or was rejected. Accounts whose record carries over are only counted.
    * `changes`: `CHANGE_COLUMNS`. `letters`: `COMPOSED_COLUMNS`. `withdrawn`: `letter_id`, `reason`. `rejected`: `REJECTED_COLUMNS`.
    * `unsaid`: `account_id`, `seq` of changes that were not confirmed in time and never will be.
    * `merged`: `account_id`, `seq` of changes that the confirmation of a later change covers.
    * `doubled`: positions of rows that share an id. `samples`: one letter for each kind and language.
    * `held`: no reminder goes out.
    """

    rules: Rules
    records: Sorted
    changes: Spill
    letters: Spill
    withdrawn: Spill
    unsaid: Spill
    rejected: Spill
    merged: pd.DataFrame
    doubled: tuple[int, ...]
    samples: Samples
    held: bool = False

    def hold(self) -> Draft:
        """This draft without its reminders: the outcome of their accounts becomes `held`, and their stage stays due."""
        outcomes = Counter(self.outcomes)
        outcomes["held"] += self.reminders
        outcomes["queued"] -= self.reminders
        return replace(self, held=True, outcomes=+outcomes, reminders=0)

    def recorded(self) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """What of `records` must be written to the ledger, some thousand records at a time: those that get a new version; and `account_id`,
        `outcome`, `outcome_reason` of those of which only the outcome has changed."""
        for table in map(self.as_held, self.records.tables()):
            outcomes = table.filter(pc.and_(table["differs"], pc.invert(table["anew"]))).select(["account_id", "outcome", "outcome_reason"])
            yield table.filter(table["anew"]).to_pandas(), outcomes.to_pandas()

    def as_held(self, records: pa.Table) -> pa.Table:
        """Some of `records` as they are to be recorded: if reminders are held, with that outcome."""
        if not self.held:
            return records
        outcome, reason = records["outcome"], records["outcome_reason"]
        # The reason of what was queued is the stage of a reminder, or the kind of mandatory mail.
        anyway = pc.is_in(reason, pa.array(sorted(MANDATORY), reason.type))
        back = pc.and_(pc.equal(outcome, "queued"), pc.invert(anyway))
        values = {"outcome": pc.if_else(back, pa.scalar("held", outcome.type), outcome), "differs": pc.or_(records["differs"], back)}
        for name, column in values.items():
            records = records.set_column(records.schema.get_field_index(name), name, column)
        return records

    def queued(self) -> Iterator[pd.DataFrame]:
        """The `letters` to queue: if reminders are held, only the mandatory ones."""
        for frame in self.letters.frames():
            yield frame[frame["kind"].isin(MANDATORY)] if self.held else frame

    def pointless(self) -> Iterator[pd.DataFrame]:
        """The letters of `withdrawn` to withdraw. If reminders are held, a letter stays that was to give way to one of a newer stage."""
        for frame in self.withdrawn.frames():
            yield frame[frame["reason"] != "newer_stage"] if self.held else frame


def draft(snapshot: Snapshot, prior: Prior, rules: Rules, folder: Path, reuse: Reuse | None = None) -> Draft:
    """Decides every account of a snapshot; with `reuse`, which knows the last read, only those that may have changed.

    Raises MigrateError if the outcomes do not add up to the rows read, or `queued` to the accounts with a letter.
    """
    # Closed at once if something fails: a thread reads the ledger ahead, and must have ended before the transaction is rolled back.
    with closing(_decided(snapshot, prior, rules, folder, reuse)) as parts:
        made = _summed(parts, rules, folder)
    if made.outcomes.total() != made.read:
        raise MigrateError(f"{made.read} rows were read but {made.outcomes.total()} have an outcome; nothing was recorded.")
    if made.outcomes["queued"] != made.written_to:
        raise MigrateError(
            f"{made.outcomes['queued']} outcomes say queued, but {made.written_to} accounts have letters; nothing was recorded."
        )
    return made


def _decided(snapshot: Snapshot, prior: Prior, rules: Rules, folder: Path, reuse: Reuse | None) -> Generator[Decided, None, None]:
    """The decisions on each part of the read; then those on the accounts with a change to confirm; then the counts of what carries over."""
    today = rules.moment.campaign.today(rules.moment.now)
    exempt, paused = prior.exceptions("exemption", today), prior.exceptions("pause", today)
    for rows in snapshot.nameless():
        yield Decided(rejected=(rows,), tally=Tally(outcomes=Counter(rejected=len(rows))))
    parts = reuse.parts() if reuse else (Part(part, prior.accounts(part.low, part.high)) for part in snapshot.ranges())
    cases = Cases(folder)
    few = reuse is not None and not reuse.anew
    # For a few there is little to read, and the cache itself is read ahead; before the first run there is nothing.
    ready = prepared(parts, prior, rules, few=few)
    for each in ready if few or prior.campaign_id is None else ahead(ready):
        decided = replace(decide(each, prior, rules, exempt, paused), carried=_as_records(each.part.carried))
        if decided.case:
            cases.add(decided.case)
        yield decided
        del each, decided  # keeps no more than one range in memory
    cases.close()
    had = [addresses_had(case, prior, rules) for case in cases]
    holders = (reuse or snapshot).holders(frozenset().union(*(each["folded"] for each in had)))
    for case, every in zip(cases, had, strict=True):
        yield confirm(case, held_by_nobody_else(every, holders), rules)
    if reuse is None:
        yield Decided(tally=Tally(read=snapshot.rows, known=prior.account_count()))
        return
    yield Decided(
        tally=Tally(
            read=snapshot.rows + reuse.rows.unchanged,
            accepted=reuse.carried,
            known=reuse.known,
            standings=reuse.standings,
            not_certain=reuse.not_certain,
            defaults_not_registered=reuse.defaults_not_registered,
            too_many_addresses=reuse.too_many_addresses,
            outcomes=reuse.outcomes,
        )
    )


def _as_records(carried: pa.Table | None) -> pa.Table | None:
    """Records of which only the outcome is new, with the columns of `Draft.records`."""
    if carried is None:
        return None
    yes, no = (pa.repeat(pa.scalar(each), carried.num_rows) for each in (True, False))
    return carried.select([*RECORD_COLUMNS, "plain"]).append_column("differs", yes).append_column("anew", no)


def _summed(parts: Iterable[Decided], rules: Rules, folder: Path) -> Draft:
    """Adds parts up to a draft; its frames are in files in `folder`."""
    records = Sorted(folder / "decided.arrow", in_order=True)
    spills = {name: Spill(folder / f"{name}.arrow") for name in _SPILLED}
    tally, samples = Tally(), dict[tuple[str, str], Letter]()
    merged, doubled = [empty(SEQ_COLUMNS)], list[int]()
    for part in parts:
        for frame in part.records:
            records.append(frame)
        if part.carried is not None and part.carried.num_rows:
            records.add(part.carried)
        for name, spill in spills.items():
            for frame in getattr(part, name):
                if len(frame):
                    spill.append(frame)
        tally = added(tally, part.tally)
        samples = {**part.samples, **samples}
        merged += part.merged
        doubled += part.doubled
        del part
    records.close()
    for spill in spills.values():
        spill.close()
    counts: dict[str, Any] = {each.name: getattr(tally, each.name) for each in fields(Tally)} | {"outcomes": +tally.outcomes}
    return Draft(
        **(counts | spills),
        rules=rules,
        records=records,
        merged=pd.concat(merged, ignore_index=True),
        doubled=tuple(doubled),
        samples=samples,
    )
