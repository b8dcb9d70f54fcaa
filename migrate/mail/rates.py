"""`[mail.smtp] rate`: the rate limit of a mail server, written as providers state it, such as 30/min (design §11, §16)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_RATE: Final = re.compile(r"(?P<letters>[1-9][0-9]{0,8})/(?P<unit>s|min|h|day)")
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600}
USUAL: Final = "10/s"
"""The rate if only a limit for a day is set."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The narrowest of several rates: letters go `1 / per_second` seconds apart, and at most `per_day` go in any 24 hours (None: no limit).
    `words` is the rates as a person reads them."""

    per_second: float
    per_day: int | None
    words: str

    @classmethod
    def of(cls, rates: Sequence[str]) -> Rates:
        """The narrowest of the rates in the configuration; each has passed `checked`."""
        found = [_parts(rate) for rate in rates]
        per_second = [letters / _SECONDS[unit] for letters, unit in found if unit != "day"]
        per_day = [letters for letters, unit in found if unit == "day"]
        words = " and ".join(f"{letters:,}/{unit}" for letters, unit in found)
        letters, unit = _parts(USUAL)
        return cls(min(per_second, default=letters / _SECONDS[unit]), min(per_day, default=None), words)


def checked(value: str) -> str:
    """The value unchanged, if it is a rate. Raises ValueError, with how to write one."""
    if not _RATE.fullmatch(value):
        raise ValueError(f"{value!r} is no rate; write letters per time, such as '10/s', '600/min', '3600/h' or '10000/day'")
    return value


def _parts(rate: str) -> tuple[int, str]:
    found = _RATE.fullmatch(rate)
    assert found  # validated
    return int(found["letters"]), found["unit"]
