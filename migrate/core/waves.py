"""Waves: parts of the accounts with an opening and a cutoff of their own (`[[waves]]`, design §7).

The first wave that matches an account wins; an account in no wave has the campaign's days. An account is assigned at the first read after
the wave was configured. It stays in its wave until the match of `[[waves]]` changes, or somebody adds the account to a list of ids or
removes it from one. A wave that `follows` is matched anew at every read instead. Pure: settings and frames in, columns out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, RootModel, model_validator

from migrate.core.accounts import GROUP_SEPARATOR
from migrate.core.campaign import CampaignSettings, in_our_time, toml_date, toml_moment
from migrate.settings import OneLine, Settings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

THE_REST: Final = ""
"""The wave of accounts that are in no wave: they have the campaign's own days."""

_BY_TELEPHONE: Final = ("sms", "voice", "phone")
"""The methods whose last use counts for `last_sms_use_days`."""

_Words = Annotated[tuple[OneLine, ...], Field(min_length=1)]
_Days = Annotated[int, Field(ge=1, le=36_500)]


class WaveMatch(Settings):
    """`[[waves]] match`. An account matches if at least one of the keys matches, and a key matches if at least one of its values does.

    Words are compared without regard to case; `ids` names a CSV file, whose ids are compared byte for byte. `last_sign_in_days`,
    `last_sms_use_days`: the last sign-in, or use of a telephone method, was longer ago than this; no match if the directory does not say.
    """

    department: _Words | None = None
    locale: _Words | None = None
    account_type: Annotated[tuple[Literal["person", "service", "shared", "break_glass", "guest"], ...], Field(min_length=1)] | None = None
    privileged: bool | None = None
    groups: _Words | None = None
    ids: Path | None = None
    last_sign_in_days: _Days | None = None
    last_sms_use_days: _Days | None = None

    @model_validator(mode="after")
    def _says_something(self) -> WaveMatch:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError(f"has nothing in it; it needs one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def by_age(self) -> bool:
        """Whether the match depends on the date, so that it may change though the account does not."""
        return self.last_sign_in_days is not None or self.last_sms_use_days is not None


class WaveSettings(Settings):
    """One wave of `[[waves]]`. If it does not set `opens` or `cutoff`, that is the campaign's."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    match: WaveMatch
    follows: bool = False
    opens: Annotated[date, BeforeValidator(toml_date), AfterValidator(in_our_time)] | None = None
    cutoff: Annotated[datetime, BeforeValidator(toml_moment), AfterValidator(in_our_time)] | None = None

    def within(self, campaign: CampaignSettings) -> CampaignSettings:
        """The campaign with the days of this wave."""
        own = {name: value for name in ("opens", "cutoff") if (value := getattr(self, name)) is not None}
        return campaign.model_copy(update=own)


def _named_once(waves: tuple[WaveSettings, ...]) -> tuple[WaveSettings, ...]:
    names = [wave.name for wave in waves]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"names two waves {twice!r}; each needs a name of its own")
    return waves


class WavesSettings(RootModel[tuple[WaveSettings, ...]]):
    """`[[waves]]`, in the order of the file."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    root: Annotated[tuple[WaveSettings, ...], AfterValidator(_named_once)] = ()


@dataclass(frozen=True, slots=True)
class Wave:
    """A wave: its match, and the campaign with the days of the wave. `ids`: those that its file lists."""

    name: str
    match: WaveMatch
    follows: bool
    campaign: CampaignSettings
    ids: frozenset[str] = frozenset()

    def matched(self, accounts: pd.DataFrame, now: datetime) -> np.ndarray:
        """True for the accounts (`ACCOUNT_COLUMNS`) that match at an instant."""
        import numpy as np
        import pandas as pd

        match, matches = self.match, np.zeros(len(accounts), dtype=bool)
        if match.department is not None:
            matches |= _folded(accounts["department"]).isin(_all_folded(match.department)).to_numpy(bool)
        if match.locale is not None:
            matches |= _spoken(_folded(accounts["locale"]), _all_folded(match.locale))
        if match.account_type is not None:
            matches |= accounts["account_type"].isin(match.account_type).to_numpy(bool)
        if match.privileged is not None:
            matches |= (accounts["privileged"] == match.privileged).to_numpy(bool)
        if match.groups is not None:
            matches |= _member(accounts["groups"], _all_folded(match.groups))
        if match.ids is not None:
            matches |= accounts["account_id"].isin(self.ids).to_numpy(bool)
        if match.last_sign_in_days is not None:
            matches |= (accounts["last_sign_in_at"] < pd.Timestamp(now - timedelta(days=match.last_sign_in_days))).to_numpy(bool)
        if match.last_sms_use_days is not None:
            used = accounts["last_used_method"].isin(_BY_TELEPHONE)
            matches |= (used & (accounts["last_used_at"] < pd.Timestamp(now - timedelta(days=match.last_sms_use_days)))).to_numpy(bool)
        return matches


@dataclass(frozen=True, slots=True)
class Waves:
    """All waves of a campaign. `campaign` has the days of accounts in no wave.

    `rule`: a digest of how all waves are matched (16 hex digits, '' without waves). `basis`: the same with the ids that files list. Neither
    digest covers days, so moving a cutoff moves nobody to another wave.
    """

    campaign: CampaignSettings
    waves: tuple[Wave, ...] = ()
    basis: str = ""
    rule: str = ""

    @classmethod
    def of(cls, campaign: CampaignSettings, settings: WavesSettings, listed: Mapping[Path, frozenset[str]]) -> Waves:
        """The waves of the configuration; `listed` has the ids in each file that it names."""
        waves = tuple(
            Wave(each.name, each.match, each.follows, each.within(campaign), listed[each.match.ids] if each.match.ids else frozenset())
            for each in settings.root
        )
        if not waves:
            return cls(campaign)
        told = [[wave.name, wave.follows, wave.match.model_dump(mode="json", exclude={"ids"}), bool(wave.ids)] for wave in waves]
        return cls(campaign, waves, _digest(told, [sorted(wave.ids) for wave in waves]), _digest(told))

    @property
    def campaigns(self) -> dict[str, CampaignSettings]:
        """Name of a wave → the campaign with its days; first `THE_REST`."""
        return {THE_REST: self.campaign} | {wave.name: wave.campaign for wave in self.waves}

    def of_wave(self, name: str) -> CampaignSettings:
        """The campaign with the days of a wave; with its own days if there is no such wave any more."""
        return self.campaigns.get(name, self.campaign)

    @property
    def moves_by_date(self) -> bool:
        """Whether an unchanged account may move to another wave from one day to the next."""
        return any(wave.follows and wave.match.by_age for wave in self.waves)

    def assign(self, accounts: pd.DataFrame, prior: pd.DataFrame, same: pd.Series, now: datetime) -> pd.DataFrame:
        """`wave`, `fixed_wave` and `wave_basis` of each account, as they are to be recorded.

        `prior`: the record of each account, meaningless where it is not the `same` person. `fixed_wave`: of the waves that do not follow,
        the first that matched when the account was assigned. It stays as long as `wave_basis` does, which digests the rule of all waves and
        which files list this account. `wave`: the fixed wave, unless a wave that follows matches now and stands before it in the file.
        """
        import numpy as np
        import pandas as pd

        if not self.waves:
            none = pd.Series(np.nan, index=accounts.index, dtype="str")
            return pd.DataFrame({"wave": pd.Series(THE_REST, index=accounts.index, dtype="str"), "fixed_wave": none, "wave_basis": none})
        names = [wave.name for wave in self.waves]
        nobody = len(names)
        basis = self._bases(accounts["account_id"])
        stands = (same & (prior["wave_basis"] == basis)).to_numpy(bool)
        fixed = np.full(len(accounts), nobody)
        known = {name: number for number, name in enumerate(names)}
        fixed[stands] = prior.loc[stands, "fixed_wave"].map(known).fillna(nobody).astype("int64")
        new = accounts[~stands]
        fixed[~stands] = self._first(new, now, follows=False) if len(new) else nobody
        follows = any(wave.follows for wave in self.waves)
        number = np.minimum(fixed, self._first(accounts, now, follows=True)) if follows else fixed
        words = pd.array([*names, THE_REST], dtype="str")
        kept = pd.array([*names, None], dtype="str")
        return pd.DataFrame(
            {"wave": words.take(number), "fixed_wave": kept.take(fixed), "wave_basis": basis},
            index=accounts.index,
        )

    def _bases(self, ids: pd.Series) -> pd.Series:
        """`wave_basis` of each account. It changes for an account that is added to a list or removed from one, and for no other."""
        import numpy as np
        import pandas as pd

        lists = [ids.isin(wave.ids).to_numpy(bool) for wave in self.waves if wave.ids]
        if not lists:
            return pd.Series(self.rule, ids.index, dtype="str")
        each, place = np.unique(np.column_stack(lists), axis=0, return_inverse=True)
        words = pd.array([_digest(self.rule, listed) for listed in each.tolist()], dtype="str")
        return pd.Series(words.take(place.ravel()), ids.index)

    def _first(self, accounts: pd.DataFrame, now: datetime, *, follows: bool) -> np.ndarray:
        """The number of the first matching wave among those that follow, or among those that do not; the number of waves if none does."""
        import numpy as np

        numbers = np.full(len(accounts), len(self.waves))
        for number, wave in reversed(list(enumerate(self.waves))):
            if wave.follows == follows:
                numbers[wave.matched(accounts, now)] = number
        return numbers


def _digest(*what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def _all_folded(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word.strip().casefold() for word in words)


def _folded(column: pd.Series) -> pd.Series:
    """A column of words in a form for comparing, without case and outer spaces; '' for missing. Each distinct word is folded once."""
    return column.map({word: word.strip().casefold() for word in column.dropna().unique()}).astype("str").fillna("")


def _spoken(locales: pd.Series, wanted: frozenset[str]) -> np.ndarray:
    """True where a locale is a wanted one or a narrower one: `fr` matches `fr-CA`."""
    import pandas as pd

    tags = {each: each.replace("_", "-") for each in locales.unique()}
    hits = [each for each, tag in tags.items() if any(tag == word or tag.startswith(f"{word}-") for word in wanted)]
    matches: np.ndarray = pd.Series(locales).isin(hits).to_numpy(bool)
    return matches


def _member(groups: pd.Series, wanted: frozenset[str]) -> np.ndarray:
    """True where an account is in a wanted group. Each distinct list of groups is looked at once."""
    hits = [
        each for each in groups.dropna().unique() if not wanted.isdisjoint(map(str.casefold, map(str.strip, each.split(GROUP_SEPARATOR))))
    ]
    matches: np.ndarray = groups.isin(hits).to_numpy(bool)
    return matches
