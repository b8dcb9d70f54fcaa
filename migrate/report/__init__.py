"""Reports: tabulate → files → manifest (design §14).

A report tells of one run, as the ledger remembers it at one instant. `chronicle` is what the ledger remembers, `tables` turns it into
rows, `cells` and `lines` into text that no spreadsheet runs, `page` and `workbook` into something to look at, and `evidence` puts it
all into one folder with a manifest that `verify` can check.
"""
