"""The ledger: what runs recorded of every account, and every letter that was queued for it (design §9).

One database through SQLAlchemy Core: SQLite by default, PostgreSQL or MariaDB for several hosts. `schema` has the tables, `engine` opens
them, `states` lists the states of a letter, `lock` keeps one run at a time, `runs` numbers the runs. `account_rows` records accounts
(`insertion` inserts many rows), `account_lookup` and `account_counts` read them as they are, `history` as they were. `migrate.outbox`
reads letters and moves them.
"""
