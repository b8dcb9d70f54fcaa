"""How long each step with a mail server may take (RFC 5321 §4.5.3.2)."""

from __future__ import annotations

from typing import Final, NamedTuple

_DATA: Final = 180.0
_END: Final = 600.0
"""Seconds for the data and for the answer to its end, at least (RFC 5321 §4.5.3.2.5 and .6)."""


class Timeouts(NamedTuple):
    """Seconds to wait: for each `answer` up to the go-ahead for the data, for the `data` to be taken, for the answer to their `end`."""

    answer: float
    data: float
    end: float

    @classmethod
    def of(cls, answer: float) -> Timeouts:
        """Those of `[mail.smtp] timeout`, which RFC 5321 makes longer where a letter may be delivered twice otherwise."""
        return cls(answer, max(answer, _DATA), max(answer, _END))
