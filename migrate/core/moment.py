"""One instant of a campaign: which stage counts now, and which cutoff a letter names, for everybody and for each wave. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from migrate.core.campaign import CampaignSettings
from migrate.core.schedule import ScheduleSettings, Stage, due, stages
from migrate.core.waves import THE_REST, Waves
from migrate.core.words import MOVED


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant of a campaign: the clock (`now`), the stage that counts, and the campaign, whose cutoff letters name.

    `newer` are the names of the stages after `stage`: whoever was told of one, by a clock that was set back since, is not told of an older
    one. `waves`: the moment of each wave that has days of its own, by its name.
    """

    now: datetime
    stage: Stage | None
    campaign: CampaignSettings
    min_gap_days: int
    newer: tuple[str, ...] = ()
    waves: tuple[tuple[str, Moment], ...] = ()

    @classmethod
    def of(cls, waves: Waves, schedule: ScheduleSettings, now: datetime) -> Moment:
        """The moment `now` of a campaign and of each of its waves."""
        *others, rest = ((name, cls._of(campaign, schedule, now)) for name, campaign in reversed(waves.campaigns.items()))
        return replace(rest[1], waves=tuple(reversed(others)))

    @classmethod
    def _of(cls, campaign: CampaignSettings, schedule: ScheduleSettings, now: datetime) -> Moment:
        planned = stages(campaign, schedule)
        stage = due(planned, now)
        newer = tuple(later.name for later in planned if stage and later.begins > stage.begins)
        return cls(now, stage, campaign, schedule.min_gap_days, newer)

    @property
    def by_wave(self) -> dict[str, Moment]:
        """Name of a wave → its moment. The first, under `THE_REST`, is for everybody who is in no wave."""
        return {THE_REST: self, **dict(self.waves)}

    @property
    def counting(self) -> tuple[str, ...]:
        """The stages whose letters stand in the way of another letter now: the stage that counts and newer ones. (`occasions` has those of
        the waves, too.)"""
        return (self.stage.name, *self.newer) if self.stage else ()

    @property
    def occasions(self) -> tuple[str, ...]:
        """The stages of `counting`, for everybody and every wave together."""
        return tuple(dict.fromkeys(name for moment in self.by_wave.values() for name in moment.counting))

    @property
    def stage_of(self) -> dict[str, str]:
        """Name of a wave → the name of the stage that counts for it, '' for none."""
        return {name: moment.occasion for name, moment in self.by_wave.items()}

    @property
    def occasion(self) -> str:
        """The name of the stage that counts, '' for none."""
        return self.stage.name if self.stage else ""

    def is_due(self, occasion: pd.Series, told_cutoff: pd.Series) -> pd.Series:
        """True for notices, given by their keys, that are due now to somebody in at least one wave."""
        due_now = [(moment.occasion, moment.campaign.told_cutoff) for moment in self.by_wave.values()]
        cutoffs = [cutoff for _, cutoff in due_now]
        of_stage = pd.Series(pd.MultiIndex.from_arrays([occasion, told_cutoff]).isin(due_now), index=occasion.index)
        return of_stage | (occasion.str.startswith(MOVED) & told_cutoff.isin(cutoffs))

    @property
    def after_cutoff(self) -> bool:
        return self.now >= self.campaign.cutoff_at
