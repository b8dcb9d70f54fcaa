"""What people decide: on letters nobody else can decide on, and exceptions for accounts (design §9, §12).

Each decision has somebody who made it and a reason, and is written down in the transaction that acts on it.
"""

from migrate.decisions.decider import Decider
from migrate.decisions.exceptions import Granted, Imported, Listed, Removed, add, import_all, listed, remove
from migrate.decisions.letters import Decided, resend, settle

__all__ = ["Decided", "Decider", "Granted", "Imported", "Listed", "Removed", "add", "import_all", "listed", "remove", "resend", "settle"]
