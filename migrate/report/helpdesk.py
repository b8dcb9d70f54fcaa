"""helpdesk.html: tells whether a mail is real, for people who have neither the ledger nor the evidence (docs/review.md).

The page holds no address and no name. It has an entry for each letter, which only the letter's reference and its address open together:
PBKDF2 of both gives the entry's name, and the key that masks its answer (kind, day, subject). A reference has 38 bits that nobody outside
can guess, and the rounds make it expensive to try all references for an address that is known.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from migrate import outside
from migrate.core.kinds import KINDS
from migrate.files.resources import resource
from migrate.report.chronicle import Chronicle
from migrate.report.manifest import instant

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "helpdesk.html"
SENT_COLUMNS: Final[dict[str, str]] = {
    "letter_id": "int64",
    "address": "str",
    "kind": "str",
    "reference": "str",
    "state": "str",
    "changed_at": "datetime64[us, UTC]",
    "subject": "str",
}
"""A letter that was sent, or may have been."""

ROUNDS: Final = 1_000
"""Rounds of PBKDF2: half a millisecond for a letter here. Somebody who has the page and wants to know whether one address was written to
needs six years of one processor, or half a day of a fast graphics card, and the same again for the next address."""
_ID: Final = 12
_BLOCK: Final = 32
_THREADS: Final = 2


class _Sent(NamedTuple):
    reference: str
    address: str
    answer: bytes


def write(out: BinaryIO, chronicle: Chronicle) -> None:
    """Writes the page of all letters that were sent by the chronicle's instant."""
    import jinja2

    from migrate.report.policy_hash import source_hash

    salt = _salt(chronicle)
    with ThreadPoolExecutor(_THREADS) as pool:  # PBKDF2 releases Python's lock (GIL)
        entries = sorted(pool.map(lambda sent: _entry(sent, salt), _sent(chronicle)))
    folder = resource("templates") / "report"
    sources = ("sha256.min.js", "helpdesk.js", "helpdesk.css")
    library, ours, style = ((folder / name).read_text(encoding="utf-8").strip() for name in sources)
    script, until = f"{library}\n{ours}", instant(chronicle.evidence_at)
    known = {
        "salt": b64encode(salt).decode(),
        "rounds": ROUNDS,
        "until": until,
        "kinds": {name: kind.summary for name, kind in KINDS.items()},
        "letters": entries,
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, finalize=outside.page, undefined=jinja2.StrictUndefined
    )
    text = environment.get_template("helpdesk.html.j2").render(
        terms=chronicle.terms,
        run=chronicle.run,
        count=len(entries),
        until=until,
        known=json.dumps(known, separators=(",", ":")).replace("<", "\\u003c"),
        script=script,
        style=style,
        script_hash=source_hash(script),
        style_hash=source_hash(style),
    )
    out.write(text.encode())


def folded(address: str) -> str:
    """An address in lower case: addresses are compared without regard to case."""
    return unicodedata.normalize("NFC", address.strip()).lower()


def _salt(chronicle: Chronicle) -> bytes:
    """The salt of a run: different for every run, the same whenever the page of one run is made."""
    of_run = json.dumps([chronicle.run.run_id, chronicle.run.counts.get("ledger"), chronicle.terms.campaign], sort_keys=True)
    return hashlib.sha256(of_run.encode()).digest()[:16]


def _sent(chronicle: Chronicle) -> Iterator[_Sent]:
    for frame in chronicle.sent():
        yield from _answered(frame, chronicle)


def _answered(frame: pd.DataFrame, chronicle: Chronicle) -> Iterator[_Sent]:
    days = [chronicle.terms.day(at).isoformat() for at in frame["changed_at"]]
    subjects = frame["subject"].astype(object).where(frame["subject"].notna(), None)
    for reference, address, kind, day, subject, state in zip(
        frame["reference"], frame["address"], frame["kind"], days, subjects, frame["state"], strict=True
    ):
        answer = json.dumps([kind, day, subject, state == "sent"], ensure_ascii=False, separators=(",", ":"))
        yield _Sent(reference, address, answer.encode())


def _entry(sent: _Sent, salt: bytes) -> str:
    """A letter's entry: its name and its masked answer."""
    block = hashlib.pbkdf2_hmac("sha256", f"{sent.reference}\0{folded(sent.address)}".encode(), salt, ROUNDS)
    name, key = block[:_ID], block[_ID:]
    mask = b"".join(hashlib.sha256(key + bytes([at])).digest() for at in range(len(sent.answer) // _BLOCK + 1))
    masked = bytes(one ^ other for one, other in zip(sent.answer, mask, strict=False))
    return b64encode(name).decode() + b64encode(masked).decode()
