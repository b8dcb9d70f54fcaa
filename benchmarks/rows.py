"""One line of the table of design §18: what was found, and what it may be at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio` is what was found: times as long as what it is compared with, or seconds, or MiB, as `unit` says. `found` tells how."""

    name: str
    ratio: float
    bound: float
    found: str
    unit: str = "×"

    @property
    def met(self) -> bool:
        return self.ratio <= self.bound

    def __str__(self) -> str:
        met = "met" if self.met else "NOT met"
        return f"{self.name}: {self.ratio:.2f} {self.unit} (at most {self.bound:g} {self.unit}: {met})  {self.found}"


@dataclass(frozen=True, slots=True)
class Remark:
    """A line without a bound."""

    name: str
    found: str

    def __str__(self) -> str:
        return f"{self.name}: {self.found}"
