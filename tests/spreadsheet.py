"""LibreOffice as a peer: a real spreadsheet in which tests review a file, as a person in some country would.

A pytest plugin, as `peers`: the fixture `libreoffice` gives a spreadsheet for a locale, started once for the session.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from peers import missing

CSV = "Text - txt - csv (StarCalc)"
ODS, XLSX = "calc8", "Calc MS Excel 2007 XML"
UTF8 = 76
LANGUAGES = {"en-US": 1033, "de-DE": 1031}
_MACRO = Path(__file__).with_name("spreadsheet_macro.py")
_PYTHON = "/usr/bin/python3"
_LOCALE = """\
<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<item oor:path="/org.openoffice.Setup/L10N"><prop oor:name="ooSetupSystemLocale" oor:op="fuse"><value>{locale}</value></prop></item>
</oor:items>
"""


def opened(locale: str, *, separator: str = ",", detect: bool = False, columns: str = "") -> str:
    """The import dialog: UTF-8, from the first line on. `detect` is "Detect special numbers"; `columns` are types, such as `1/2/2/2`."""
    return f"{ord(separator)},34,{UTF8},1,{columns},{LANGUAGES[locale]},false,{str(detect).lower()},false"


def saved(*, separator: str = ",", quoted: bool = False, charset: int = UTF8, shown: bool = True) -> str:
    """The export dialog: `quoted` is "Quote all text cells", `shown` "Save cell content as shown"."""
    return f"{ord(separator)},34,{charset},1,,0,{str(quoted).lower()},false,{str(shown).lower()}"


@dataclass(frozen=True)
class LibreOffice:
    """A running LibreOffice of one locale."""

    locale: str
    _pipe: str
    _macro: subprocess.Popen[str]

    def review(
        self,
        path: Path,
        *,
        delete: Sequence[str] = (),
        edit: Sequence[tuple[str, int, str]] = (),
        add: Sequence[Sequence[str]] = (),
        detect: bool = False,
        columns: str = "",
        saving: str = "",
        through: str = "",
    ) -> None:
        """Opens a CSV file, deletes the rows with these words in the first column, types into cells and below the last row, and
        saves it under its name.

        `through` is a format that it is saved in first, and opened from again.
        """
        first = {"open": str(path), "filter": CSV, "options": opened(self.locale, detect=detect, columns=columns)}
        work = {"delete": list(delete), "edit": [list(one) for one in edit], "add": [list(row) for row in add]}
        last = [[str(path), CSV, saving or saved()]]
        if not through:
            self._ask(first | work | {"save": last})
            return
        with tempfile.TemporaryDirectory() as folder:
            between = Path(folder) / f"between.{'ods' if through == ODS else 'xlsx'}"
            self._ask(first | {"save": [[str(between), through, ""]]})
            self._ask({"open": str(between)} | work | {"save": last})

    def read(self, path: Path, separator: str = "") -> dict[str, list[list[tuple[str, str]]]]:
        """Opens a workbook, or a CSV file with a separator, as somebody does who wants everything evaluated: sheet → rows of cells, each
        what it shows and its kind ("text", "value", "formula" or "")."""
        numbers_and_formulas = (
            f"{ord(separator)},34,{UTF8},1,,{LANGUAGES[self.locale]},false,true,false,false,false,0,true" if separator else ""
        )
        opening = {"filter": CSV, "options": numbers_and_formulas} if separator else {}
        answer = self._ask({"open": str(path), "read": True} | opening)
        return {name: [[(text, kind) for text, kind in row] for row in rows] for name, rows in answer["sheets"].items()}

    def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        assert self._macro.stdin and self._macro.stdout
        print(json.dumps(what | {"pipe": self._pipe}), file=self._macro.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._macro.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer


@contextlib.contextmanager
def run_libreoffice(soffice: str, locale: str) -> Iterator[LibreOffice]:
    """A LibreOffice with a profile and a pipe of its own. Nothing of it is left afterwards."""
    root = Path(tempfile.mkdtemp(prefix="lo", dir="/tmp"))  # a socket's path holds 107 bytes
    profile, pipe = root / "profile", f"t{uuid.uuid4().hex}"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(_LOCALE.format(locale=locale))
    quiet: dict[str, Any] = {
        "stderr": subprocess.DEVNULL,
        "env": {"PATH": "/usr/bin:/bin", "HOME": str(root), "LC_ALL": "C.UTF-8", "TZ": "UTC", "TMPDIR": str(root)},
    }
    flags = ("--headless", "--norestore", "--nologo", "--nodefault", f"--accept=pipe,name={pipe};urp;")
    started = [soffice, f"-env:UserInstallation={profile.as_uri()}", *flags]
    office = subprocess.Popen(started, stdout=subprocess.DEVNULL, start_new_session=True, **quiet)
    macro = subprocess.Popen([_PYTHON, _MACRO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **quiet)
    try:
        yield LibreOffice(locale, pipe, macro)
    finally:
        macro.communicate()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(office.pid, 9)  # soffice is a script that starts the program
        office.wait()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def libreoffice() -> Iterator[Callable[[str], LibreOffice]]:
    """Locale (`en-US`, `de-DE`) → a LibreOffice of a person there."""
    soffice = shutil.which("soffice")
    if soffice is None:
        missing("no LibreOffice; `apt-get install --no-install-recommends libreoffice-calc python3-uno`")
    try:
        subprocess.run([_PYTHON, "-c", "import uno"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        missing("no bridge to LibreOffice; `apt-get install --no-install-recommends python3-uno`")
    running: dict[str, LibreOffice] = {}
    with contextlib.ExitStack() as stack:

        def of(locale: str) -> LibreOffice:
            if locale not in running:
                running[locale] = stack.enter_context(run_libreoffice(soffice, locale))
            return running[locale]

        yield of
