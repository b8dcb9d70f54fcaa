"""Reports: tabulate → files → manifest (design §14).

A report tells of one run, as the ledger remembers it at one instant. `chronicle` is what the ledger remembers, `accounts` and
`tables` turn it into rows, `cells` and `lines` into text that no spreadsheet runs, `page` and `workbook` into something to look at, and
`evidence` puts it all into one folder with a manifest that `verify` can check. Accounts are many, so they stay Arrow columns from the
records to the files, and what repeats among them is looked at once (`repeats`).
"""
