"""What people decide: on letters nobody else can decide on, on addresses that count as dead, and exceptions for accounts (design §9, §11,
§12).

Each decision has somebody who made it and a reason, and is written down in the transaction that acts on it.
"""

from migrate.decisions.clearing import Dead, Revived, dead, revive
from migrate.decisions.decider import Decider
from migrate.decisions.exempting import Granted, Imported, Listed, Removed, add, import_all, listed, remove
from migrate.decisions.settling import Chosen, Decided, Resent, Wanted, choose, resend, resend_all, settle, within

__all__ = [
    "Chosen", "Dead", "Decided", "Decider", "Granted", "Imported", "Listed", "Removed", "Resent", "Revived", "Wanted", "add", "choose",
    "dead", "import_all", "listed", "remove", "resend", "resend_all", "revive", "settle", "within",
]  # fmt: skip
