"""A fleet: one command for many organisations. Each is a tenant with a configuration and a campaign of its own (design §22).

`settings` reads fleet.toml and finds the tenants. `processes` runs the command for a tenant in a process, `states` says how it ended, and
`figures` (with `counts`) reads what `migrate status` says of its ledger. `rounds` does this for all tenants, `rollup` puts the results into
one table, and `publishing` writes it as fleet.csv, fleet.html and fleet.json.
"""
