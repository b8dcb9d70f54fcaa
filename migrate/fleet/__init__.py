"""A fleet: many organisations handled by one command, each a tenant with a configuration and a campaign of its own (design §22).

`settings` is fleet.toml and finds the tenants. `processes` calls the command for each in a process of its own, `states` says how it ended,
`figures` what the tenant's ledger then shows, `rounds` does that for all of them, and `rollup` puts it together in one table, which
`publishing` writes as fleet.csv, fleet.html and fleet.json.
"""
