"""What people decide: on failed and uncertain letters, on addresses that count as dead, and on exceptions for accounts (design §9, §11,
§12).

Each decision has a person and a reason, and is recorded in the transaction that carries it out.
"""

from migrate.decisions.clearing import Dead, Revived, dead, revive
from migrate.decisions.decider import Decider
from migrate.decisions.exempting import Granted, Imported, Listed, Removed, add, import_all, listed, remove
from migrate.decisions.settling import Chosen, LetterDecision, Resent, Wanted, choose, resend, resend_all, settle, within

__all__ = [
    "Chosen",
    "Dead",
    "Decider",
    "Granted",
    "Imported",
    "LetterDecision",
    "Listed",
    "Removed",
    "Resent",
    "Revived",
    "Wanted",
    "add",
    "choose",
    "dead",
    "import_all",
    "listed",
    "remove",
    "resend",
    "resend_all",
    "revive",
    "settle",
    "within",
]  # fmt: skip
