"""The ledger: what is known of every account, and what was ever said to it (design §9).

One database through SQLAlchemy Core: SQLite by default, PostgreSQL or MariaDB for several hosts. `schema` is the tables, `engine` opens
them, `states` draws the life of a letter, `outbox` moves letters along it, `lock` keeps one run at a time, `runs` numbers the runs,
`history` answers for the past.
"""
