"""What a person does in LibreOffice, done in it: open a CSV, delete or change rows, save. Run by the Python that has LibreOffice's bridge.

Reads one JSON object a line from standard input and answers each with a line of JSON (`{"error": …}` if it failed):

* `pipe`: the name of the pipe on which LibreOffice listens;
* `open`, `filter` and `options`: the file, and the import filter of a text file with its options, as the dialog would set them;
* `delete`: words of the first column whose rows go; `edit`: [word of the first column, number of the column, text as typed];
  `add`: rows of text, typed below the last one;
* `save`: [file, filter, options], in turn;
* `read`: true for the answer to have, of each sheet by its name, the text and the kind of each cell (`sheets`): "text", "value",
  "formula" or "".
"""

import json
import sys
import time
from pathlib import Path

import uno
from com.sun.star.beans import PropertyValue
from com.sun.star.connection import NoConnectException


def connected(pipe):
    """The desktop of the LibreOffice that listens there, once it has started."""
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    until = time.monotonic() + 60
    while True:
        try:
            there = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
            return there.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", there)
        except NoConnectException:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def properties(**values):
    return tuple(PropertyValue(Name=name, Value=value) for name, value in values.items())


def filtered(name, options):
    return {"FilterName": name} | ({"FilterOptions": options} if options else {})


def cells(sheet):
    """The cells of a sheet, row by row: what each shows, and its kind."""
    cursor = sheet.createCursor()
    cursor.gotoEndOfUsedArea(False)
    used = sheet.getCellRangeByPosition(0, 0, cursor.RangeAddress.EndColumn, cursor.RangeAddress.EndRow)
    formulas = {
        (row, column)
        for area in used.queryContentCells(16).RangeAddresses
        for row in range(area.StartRow, area.EndRow + 1)
        for column in range(area.StartColumn, area.EndColumn + 1)
    }
    kinds = {str: "text", float: "value"}
    return [
        [
            (str(cell), "formula" if (row, column) in formulas else kinds[type(cell)] if cell != "" else "")
            for column, cell in enumerate(line)
        ]
        for row, line in enumerate(used.DataArray)
    ]


def reviewed(desktop, what):
    """Opens, changes and saves one file."""
    opening = filtered(what["filter"], what["options"]) if what.get("filter") else {}
    document = desktop.loadComponentFromURL(Path(what["open"]).as_uri(), "_blank", 0, properties(Hidden=True, **opening))
    try:
        sheet = document.Sheets.getByIndex(0)
        cursor = sheet.createCursor()
        cursor.gotoEndOfUsedArea(False)
        last = cursor.RangeAddress.EndRow
        place = {sheet.getCellByPosition(0, row).String: row for row in range(last + 1)}
        for word, column, typed in what.get("edit", ()):
            sheet.getCellByPosition(column, place[word]).FormulaLocal = typed
        for below, typed in enumerate(what.get("add", ()), last + 1):
            for column, text in enumerate(typed):
                sheet.getCellByPosition(column, below).FormulaLocal = text
        for row in sorted((place[word] for word in what.get("delete", ())), reverse=True):
            sheet.Rows.removeByIndex(row, 1)
        for path, name, options in what.get("save", ()):
            document.storeToURL(Path(path).as_uri(), properties(**filtered(name, options)))
        sheets = {each: cells(document.Sheets.getByName(each)) for each in document.Sheets.ElementNames} if what.get("read") else {}
    finally:
        document.close(False)
    return {"rows": last, "sheets": sheets}


def main():
    desktop = None
    for line in sys.stdin:
        what = json.loads(line)
        try:
            desktop = desktop or connected(what["pipe"])
            said = reviewed(desktop, what)
        except Exception as error:  # the test is told
            said = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
