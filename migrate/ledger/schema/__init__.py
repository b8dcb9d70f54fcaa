"""The ledger's tables (design §9). The database enforces the rules: keys, and a CHECK on every column of words; each constraint has a name.

* An instant is a BIGINT of microseconds since 1970-01-01T00:00Z on every database: exact, sortable, without a zone to lose, and
  read into numpy a million at a time. `UtcInstant` makes it an aware UTC datetime on the Python side.
* Identifiers and addresses compare byte for byte, so that a range of ids is the same range on every database.
* Text from the directory that is never a key has no length limit, so that no long name stops a run half-way.
* `column_types` has the types and the columns that tables share; the other modules have the tables, by subject. Import them from here.
* `account` has the current version of each account, `account_history` the superseded ones, which held from `since_run` until `until_run`.
  `account_outcome` has the outcomes that changed while nothing else in the account did.
"""

from __future__ import annotations

from migrate.ledger.schema.account_tables import CHANGE_STATES, account, account_history, account_outcome, change
from migrate.ledger.schema.column_types import EPOCH, UtcInstant, metadata, micros
from migrate.ledger.schema.decision_tables import bounce, exemption, pause, plan
from migrate.ledger.schema.identity_tables import accepted_evidence, confirmed_before, identity, told_before
from migrate.ledger.schema.letter_tables import (
    ENDED,
    NOTICE_KINDS,
    ROLES,
    UNSETTLED,
    WAITS,
    artefact,
    indexed,
    letter,
    letter_event,
    mandatory,
    notice,
    rate_count,
    rate_slot,
    written_out,
)
from migrate.ledger.schema.run_tables import PURPOSES, RUN_STATES, campaign, rejection, run, run_lock

__all__ = [
    "CHANGE_STATES", "ENDED", "EPOCH", "NOTICE_KINDS", "PURPOSES", "ROLES", "RUN_STATES", "UNSETTLED", "WAITS", "UtcInstant",
    "accepted_evidence", "account", "account_history", "account_outcome", "artefact", "bounce", "campaign", "change",
    "confirmed_before", "exemption", "identity", "indexed", "letter", "letter_event", "mandatory", "metadata", "micros", "notice",
    "pause", "plan", "rate_count", "rate_slot", "rejection", "run", "run_lock", "told_before", "written_out",
]  # fmt: skip
