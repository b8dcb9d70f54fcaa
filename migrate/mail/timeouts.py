"""How long each step with a mail server may take (RFC 5321 §4.5.3.2)."""

from __future__ import annotations

from typing import Final, NamedTuple

_DATA: Final = 180.0
_END: Final = 600.0
"""Seconds for the data and for the answer to its end, at least (RFC 5321 §4.5.3.2.5 and .6)."""


class Timeouts(NamedTuple):
    """Seconds to wait: for each `answer` up to the go-ahead for the data, for sending the `data`, and for the answer to its `end`."""

    answer: float
    data: float
    end: float

    @classmethod
    def of(cls, answer: float) -> Timeouts:
        """The waits for `[mail.smtp] timeout`. For the data and its end RFC 5321 asks for more: too short a wait may deliver a letter
        twice."""
        return cls(answer, max(answer, _DATA), max(answer, _END))
