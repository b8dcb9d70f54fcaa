"""The campaign's terms at a run: its words, days and rules. They are kept with the run, so that a past day is reported as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from migrate.core.schedule import ScheduleSettings, Stage, stages
from migrate.core.standing import PolicySettings
from migrate.core.waves import Waves


@dataclass(frozen=True, slots=True)
class Terms:
    """What a report needs to know of the configuration.

    `cutoff` is a UTC instant, `opens` a day in `timezone`; `remind` and `compliant` are standings; `stages` are in the order of their days;
    `waves` has the stages of each wave, and `cutoffs` its cutoff. `remind_without_destination` is false for runs from before there was such
    a setting.
    """

    campaign: str
    organization: str
    product: str
    timezone: str
    opens: date
    cutoff: datetime
    remind: tuple[str, ...]
    compliant: tuple[str, ...]
    stages: tuple[Stage, ...]
    remind_without_destination: bool = False
    waves: Mapping[str, tuple[Stage, ...]] = field(default_factory=dict)
    cutoffs: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, waves: Waves, schedule: ScheduleSettings, policy: PolicySettings) -> Terms:
        """The terms of the present configuration."""
        campaign = waves.campaign
        return cls(
            campaign=campaign.name,
            organization=campaign.organization,
            product=campaign.product,
            timezone=campaign.timezone,
            opens=campaign.opens,
            cutoff=campaign.cutoff_at,
            remind=policy.remind,
            compliant=tuple(sorted(policy.compliant)),
            stages=stages(campaign, schedule),
            remind_without_destination=policy.remind_without_destination,
            waves={wave.name: stages(wave.campaign, schedule) for wave in waves.waves},
            cutoffs={wave.name: wave.campaign.cutoff_at for wave in waves.waves},
        )

    def to_json(self) -> dict[str, Any]:
        """The terms as plain JSON values, to be kept with the run."""
        plain = asdict(self)
        plain["stages"] = [{**stage, **_texts(stage)} for stage in plain["stages"]]
        plain["waves"] = {name: [{**stage, **_texts(stage)} for stage in of_wave] for name, of_wave in plain["waves"].items()}
        plain["cutoffs"] = _texts(plain["cutoffs"])
        return {**plain, **_texts(plain)}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Terms:
        """The inverse of `to_json`."""
        return cls(
            **{name: plain[name] for name in ("campaign", "organization", "product", "timezone")},
            opens=date.fromisoformat(plain["opens"]),
            cutoff=datetime.fromisoformat(plain["cutoff"]),
            remind=tuple(plain["remind"]),
            compliant=tuple(plain["compliant"]),
            stages=_stages(plain["stages"]),
            remind_without_destination=plain.get("remind_without_destination", False),
            waves={name: _stages(of_wave) for name, of_wave in plain.get("waves", {}).items()},
            cutoffs={name: datetime.fromisoformat(cutoff) for name, cutoff in plain.get("cutoffs", {}).items()},
        )

    def later(self, now: datetime) -> frozenset[str]:
        """The waves whose cutoff is still to come once the campaign's has come, or at `now` if that is later."""
        return frozenset(name for name, cutoff in self.cutoffs.items() if cutoff > max(now, self.cutoff))

    def stages_of(self, wave: str) -> tuple[Stage, ...]:
        """The stages of a wave, by its name ('' is everybody else)."""
        return self.waves.get(wave, self.stages)

    def day(self, instant: datetime) -> date:
        """The calendar day of an instant in the campaign's zone."""
        return instant.astimezone(ZoneInfo(self.timezone)).date()


def _stages(plain: list[dict[str, Any]]) -> tuple[Stage, ...]:
    return tuple(
        Stage(
            name=stage["name"],
            kind=stage["kind"],
            on=date.fromisoformat(stage["on"]),
            begins=datetime.fromisoformat(stage["begins"]),
            ends=datetime.fromisoformat(stage["ends"]) if stage["ends"] else None,
        )
        for stage in plain
    )


def _texts(plain: dict[str, Any]) -> dict[str, str]:
    return {name: value.isoformat() for name, value in plain.items() if isinstance(value, date)}
