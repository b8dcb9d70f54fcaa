"""migrate: retire text-message two-step verification without mailing anyone twice, or losing anyone.

The whole path, a noun a step and a verb an arrow (each noun is a module or a folder here; `migrate.run.job` walks it in one function):

    directory ─read→ accounts ─assess→ standing ─compare→ changes ─plan→ notices ─compose→ letters
                                          ↑                                          │ enqueue
                                        ledger ←──────────── outbox ←────────────────┘
    report ←─tabulate─ ledger ←─settle─ receipts ←─send─ delivery ←─claim─ outbox
"""

__version__ = "0.1.0"
