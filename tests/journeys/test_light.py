"""What a command loads, which is what it costs before it does anything."""

from __future__ import annotations

import subprocess
import sys

from office import Office

RUN = """
import sys
from migrate.cli import main
sys.argv = ["migrate", "send", "--as-of", "2024-01-02T15:00"]
try:
    main()
finally:
    print(sorted({"pandas", "pyarrow", "numpy"} & sys.modules.keys()))
"""


def test_a_delivery_does_without_pandas(office: Office) -> None:
    """Cron starts one every few minutes."""
    office.hire("ada")
    office.run("2024-01-02T14:00", "--no-send")
    done = subprocess.run([sys.executable, "-c", RUN], cwd=office.folder, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
    assert len(office.mails()) == 1
