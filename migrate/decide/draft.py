"""What a run would do, worked out and not done yet: the path from snapshot to letters (design §2).

Each id range is decided by itself (`ranges`), then the accounts with a change to confirm (`confirming`), for which the whole read must be
known. Each gives a `Decided`, and `_summed` adds them up. A draft reads the ledger and writes nothing but private spill files. A run
records it, delivers and reports; a dry run shows it. Nothing in here knows which of the two it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core.accounts import RECORD_COLUMNS, empty
from migrate.core.kinds import MANDATORY
from migrate.decide.confirming import SEQ_COLUMNS, Cases, addresses_had, confirm, nobodys
from migrate.decide.decided import Decided, Rules, Samples, Tally, added
from migrate.decide.ranges import decide
from migrate.directory.snapshot import Snapshot
from migrate.errors import MigrateError
from migrate.files.spill import Sorted, Spill
from migrate.incremental import Beside, Part
from migrate.ledger import schema
from migrate.ledger.prior import Prior
from migrate.mail.letter import Letter

_SPILLED: Final = ("changes", "letters", "withdrawn", "unsaid", "rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Tally):
    """What a run would do: what is counted, and in private files

    * `records`: `RECORD_COLUMNS`, `plain` (`migrate.incremental`), `differs` and `anew` (`migrate.core.remember.differs`) of every account
      that was decided: read, gone or rejected. Those that carry over are counted and not among them;
    * `changes`: `CHANGE_COLUMNS`; `letters`: `COMPOSED_COLUMNS`; `withdrawn`: `letter_id`, `reason`;
    * `unsaid`: `account_id`, `seq` of changes that nobody could be told of in time; `rejected`: `REJECTED_COLUMNS`.

    `merged` has `account_id`, `seq` of changes that the confirmation of a later one tells of; `doubled` positions of rows that share an id.
    `samples` keeps one letter a kind and language. If it is `held`, no reminder of it goes out.
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
        """The same with every reminder kept back: its account's outcome becomes `held`, and its stage stays due."""
        outcomes = Counter(self.outcomes)
        outcomes["held"] += self.reminders
        outcomes["queued"] -= self.reminders
        return replace(self, held=True, outcomes=+outcomes, reminders=0)

    def recorded(self) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """`records` that the ledger lacks, as they are to be recorded: those of which there is to be a new version; and `account_id`,
        `outcome`, `outcome_reason` of those with another outcome and nothing else."""
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
        """`letters`, as they are to be queued."""
        for frame in self.letters.frames():
            yield frame[frame["kind"].isin(MANDATORY)] if self.held else frame

    def pointless(self) -> Iterator[pd.DataFrame]:
        """`withdrawn`, as they are to be withdrawn: without the newer stage, the older letter stays."""
        for frame in self.withdrawn.frames():
            yield frame[frame["reason"] != "newer_stage"] if self.held else frame


def draft(snapshot: Snapshot, prior: Prior, rules: Rules, folder: Path, beside: Beside | None = None) -> Draft:
    """Decides for every row of a snapshot, and of a read `beside` its image for every row that is not as it was.

    Raises if the outcomes do not add up to the rows read, or `queued` to who is written to.
    """
    made = _summed(_decided(snapshot, prior, rules, folder, beside), rules, folder)
    if made.outcomes.total() != made.read:
        raise MigrateError(f"{made.read} rows were read but {made.outcomes.total()} have an outcome; nothing was recorded.")
    if made.outcomes["queued"] != made.written_to:
        raise MigrateError(
            f"{made.outcomes['queued']} outcomes say queued, but {made.written_to} accounts have letters; nothing was recorded."
        )
    return made


def _decided(snapshot: Snapshot, prior: Prior, rules: Rules, folder: Path, beside: Beside | None) -> Iterator[Decided]:
    """What each part of the read comes to, the accounts with a change to confirm last; and what carries over."""
    today = rules.moment.campaign.today(rules.moment.now)
    exempt, paused = prior.exceptions(schema.exemption, today), prior.exceptions(schema.pause, today)
    for rows in snapshot.nameless():
        yield Decided(rejected=(rows,), tally=Tally(outcomes=Counter(rejected=len(rows))))
    parts = beside.parts() if beside else (Part(part, prior.accounts(part.low, part.high)) for part in snapshot.ranges())
    cases = Cases(folder)
    for part in parts:
        decided = replace(decide(part, prior, rules, exempt, paused, few=beside is not None), carried=_as_records(part.carried))
        if decided.case:
            cases.add(decided.case)
        yield decided
        del decided  # so that no more than one range is in memory
    cases.close()
    had = [addresses_had(case, prior, rules) for case in cases]
    holders = (beside or snapshot).holders(frozenset().union(*(each["folded"] for each in had)))
    for case, every in zip(cases, had, strict=True):
        yield confirm(case, nobodys(every, holders), rules)
    if beside is None:
        yield Decided(tally=Tally(read=snapshot.rows, known=prior.known()))
        return
    yield Decided(
        tally=Tally(
            read=snapshot.rows + beside.rows.unchanged,
            accepted=beside.carried,
            known=beside.known,
            standings=beside.standings,
            not_certain=beside.not_certain,
            defaults_not_registered=beside.defaults_not_registered,
            too_many_addresses=beside.too_many_addresses,
            outcomes=beside.outcomes,
        )
    )


def _as_records(carried: pa.Table | None) -> pa.Table | None:
    """Records of which nothing but the outcome is new, as `Draft.records` has them."""
    if carried is None:
        return None
    yes, no = (pa.repeat(pa.scalar(each), carried.num_rows) for each in (True, False))
    return carried.select([*RECORD_COLUMNS, "plain"]).append_column("differs", yes).append_column("anew", no)


def _summed(parts: Iterable[Decided], rules: Rules, folder: Path) -> Draft:
    """The draft that parts add up to, its frames in files of a private folder."""
    records = Sorted(folder / "decided.arrow")
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
