"""Reports: tables → files → manifest (design §14).

A report tells of one run as the ledger knew it at one instant. `chronicle` is that knowledge; `accounts` and `tables` turn it into rows,
`cells` and `lines` into text that no spreadsheet runs, `page` and `workbook` into something to look at; `evidence` writes it all into one
folder with a manifest that `verify` can check. Accounts are many: they stay Arrow columns from the records to the files, and a value that
repeats is processed once (`repeats`).
"""
