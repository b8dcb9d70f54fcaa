"""The standing of an account: how far it has moved away from SMS (`[policy]`, design §5). Pure: frames in, columns out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from migrate.core.accounts import METHODS, methods_bits, methods_of
from migrate.core.campaign import AtCutoff
from migrate.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

STANDINGS: Final = (
    "inactive", "exempt_sso", "exempt", "migrated", "sms_fallback", "sms_default", "sms_only", "unknown", "no_second_step",
)  # fmt: skip
OUT_OF_SCOPE: Final = frozenset({"inactive", "exempt_sso", "exempt"})
REMINDABLE: Final = frozenset(STANDINGS) - OUT_OF_SCOPE - {"migrated"}
AT_CUTOFF: Final = ("unaffected", "unknown", "loses_second_step", "locked_out", "must_re_enrol", "unaffected_but_surprised")

DESTINATIONS: Final = ("yes", "no", "unknown")
"""Whether the source lets an account register an accepted method at all."""

BACKUP_CODE: Final = methods_of(("backup_code",))
UNCERTAIN: Final = methods_of(("unknown", "other"))

_NAMED: Final = {word: methods_of((word,)) for word in METHODS if word != "unknown"}
"""A method that a default or last used method may name → its bit; `unknown` is no such name."""
_TELEPHONES: Final = {
    "sms": methods_of(("phone",)), "voice": methods_of(("phone",)), "phone": methods_of(("sms", "voice")),
}  # fmt: skip
"""A telephone method → the methods that stand for it if it is not registered itself. Some sources tell texts from calls in one column, and
have just `phone` in the other."""


def _methods(words: tuple[str, ...]) -> tuple[str, ...]:
    for word in words:
        if word not in METHODS:
            raise ValueError(f"{word!r} is no method; the methods are {', '.join(METHODS)}")
        if word in ("unknown", "other", "backup_code"):
            raise ValueError(f"{word!r} can be neither retired nor accepted")
    return words


def _remindable(words: tuple[str, ...]) -> tuple[str, ...]:
    for word in words:
        if word not in REMINDABLE:
            raise ValueError(
                f"{word!r} is no standing that can be reminded; those are {', '.join(s for s in STANDINGS if s in REMINDABLE)}"
            )
    return words


class PolicySettings(Settings):
    """`[policy]`; standings and methods are words of `STANDINGS` and `METHODS`, the numbers are days or addresses.

    `strict_fallback`: `sms_fallback` is not compliant. `strict_words`: an accepted method beside one of an unknown kind is not compliant.
    `used_days`: how long the last used method stands in for a default that is not known. `confirm_days`: how long a confirmation that could
    not be mailed is tried again. `old_address_days`: how long a replaced address still gets confirmations. `max_addresses`: how many
    addresses of an account are mailed.
    """

    retired: Annotated[tuple[str, ...], AfterValidator(_methods)] = Field(("sms", "voice"), min_length=1)
    accepted: Annotated[tuple[str, ...], AfterValidator(_methods)] = Field(
        ("totp", "push", "passkey", "hardware_otp", "certificate"), min_length=1
    )
    remind: Annotated[tuple[str, ...], AfterValidator(_remindable)] = ("sms_only", "sms_default")
    exempt_federated: bool = True
    strict_fallback: bool = False
    strict_words: bool = False
    remind_without_destination: bool = False
    used_days: int = Field(90, ge=1, le=36_500)
    confirm_days: int = Field(30, ge=1, le=36_500)
    old_address_days: int = Field(30, ge=0, le=36_500)
    max_addresses: int = Field(10, ge=1, le=10_000)

    @model_validator(mode="after")
    def _disjoint(self) -> PolicySettings:
        if both := sorted(set(self.retired) & set(self.accepted)):
            raise ValueError(f"retired and accepted both name {', '.join(both)}")
        return self

    @property
    def retired_bits(self) -> int:
        """The retired methods. `phone`, a telephone that may get texts or calls, is retired if `sms` is (design §4)."""
        also = ("phone",) if "sms" in self.retired else ()
        return methods_of(tuple(self.retired) + also) & ~self.accepted_bits

    @property
    def accepted_bits(self) -> int:
        return methods_of(tuple(self.accepted))

    @property
    def compliant(self) -> frozenset[str]:
        return frozenset({"migrated"} if self.strict_fallback else {"migrated", "sms_fallback"})


def has_any(methods: pd.Series, bits: int) -> pd.Series:
    """True where a bit set shares a method with `bits`."""
    return (methods & bits) != 0


def registered(word: str | None, methods: int) -> int:
    """The registered `methods` (bits) that a default or last used method means, 0 for none. If the word itself is not registered, `sms` and
    `voice` mean a registered `phone`, and `phone` means a registered `sms` or `voice`."""
    return _NAMED.get(word or "", 0) & methods or _TELEPHONES.get(word or "", 0) & methods


def found_in(word: str) -> int:
    """The methods (bits) that a default or last used method of this word may mean; 0 for a word that names no method."""
    return _NAMED.get(word, 0) | _TELEPHONES.get(word, 0)


def _bits(words: pd.Series, of: Callable[[str], int]) -> pd.Series:
    """The bits that `of` gives for each word, 0 where a word is missing. `of` is called once for each method."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    place = pc.index_in(pa.array(words, pa.large_string(), from_pandas=True), pa.array(METHODS, pa.large_string()))
    bits = np.array([*map(of, METHODS), 0], "int32")
    return pd.Series(bits[pc.fill_null(place, len(METHODS)).to_numpy()], index=words.index)


def _registered(words: pd.Series, methods: pd.Series) -> pd.Series:
    """`registered` for whole columns."""
    itself = _bits(words, lambda word: _NAMED.get(word, 0)) & methods
    return itself.where(itself != 0, _bits(words, found_in) & methods)


def used_since(now: datetime, policy: PolicySettings) -> datetime:
    """The instant (UTC) since when a last use counts: `used_days` times 24 hours ago, whatever the local clock did."""
    return now.astimezone(UTC) - timedelta(days=policy.used_days)


def habit(accounts: pd.DataFrame, policy: PolicySettings, now: datetime) -> pd.Series:
    """The registered methods (bits) that each account normally uses: its default; if no default is known, the method it used last, unless
    that was longer ago than `used_days`. 0 if neither is known."""
    import pandas as pd

    default = _registered(accounts["default_method"], accounts["methods"])
    if accounts["last_used_method"].isna().all():
        return default
    old = accounts["last_used_at"] < pd.Timestamp(used_since(now, policy))
    used = _registered(accounts["last_used_method"], accounts["methods"]).mask(old, 0)
    return default.where(default != 0, used)


def default_not_registered(accounts: pd.DataFrame) -> pd.Series:
    """True where the default is a method that the account has not registered. Such a default counts as not known."""
    wanted = _bits(accounts["default_method"], found_in)
    return (wanted != 0) & (wanted & accounts["methods"] == 0)


def certain(methods: pd.Series) -> pd.Series:
    """False where the methods include a second step of an unknown kind (`unknown`, `other`)."""
    return ~has_any(methods, UNCERTAIN)


def destination(accounts: pd.DataFrame, policy: PolicySettings) -> pd.Series:
    """Whether each account can move to an accepted method, a word of `DESTINATIONS`: `yes` if one is registered or may be registered, `no`
    if the source lets it register none, `unknown` if the source does not say, or names methods of an unknown kind."""
    from migrate.core.word_columns import first_that_holds

    there = has_any(accounts["methods"], policy.accepted_bits)
    told = accounts["may_enrol"].notna()
    if told.any():
        listed = methods_bits(accounts["may_enrol"].fillna(""))
        may, unnamed = has_any(listed, policy.accepted_bits), has_any(listed, UNCERTAIN)
        return first_that_holds([(there | may, "yes"), (told & ~unnamed, "no")], "unknown")
    return first_that_holds([(there, "yes")], "unknown")


def _by_methods(accounts: pd.DataFrame, policy: PolicySettings, now: datetime) -> pd.Series:
    """The standing by methods alone: the rows below `exempt` in the table of design §5."""
    from migrate.core.word_columns import first_that_holds

    methods = accounts["methods"]
    retired, accepted = has_any(methods, policy.retired_bits), has_any(methods, policy.accepted_bits)
    by_default = has_any(habit(accounts, policy, now), policy.retired_bits)
    doubtful = accepted & ~certain(methods) & policy.strict_words
    other = has_any(methods, ~BACKUP_CODE)
    both = accepted & retired
    cases = [
        (doubtful, "unknown"),
        (accepted & ~retired, "migrated"),
        (both & ~by_default, "sms_fallback"),
        (both, "sms_default"),
        (retired, "sms_only"),
        (other, "unknown"),
    ]
    return first_that_holds(cases, "no_second_step")


def assess(accounts: pd.DataFrame, policy: PolicySettings, exempt: pd.Series, now: datetime) -> pd.Series:
    """The standing of each account at an instant; the first matching row of design §5 wins.

    `accounts` has `ACCOUNT_COLUMNS`; `exempt` is true where an exemption is in force today.
    """
    standing = _by_methods(accounts, policy, now)
    standing = standing.mask(exempt.to_numpy(bool), "exempt")
    if policy.exempt_federated:
        standing = standing.mask(accounts["federated"], "exempt_sso")
    return standing.mask(~accounts["enabled"], "inactive")


def at_cutoff(accounts: pd.DataFrame, policy: PolicySettings, word: AtCutoff, outlasting: pd.Series, now: datetime) -> pd.Series:
    """What the cutoff would do to each account with the methods it has now (design §5), a word of `AT_CUTOFF`.

    `word`: what it does to accounts with nothing but retired methods (`[campaign] at_cutoff`). Inactive accounts are judged by their
    methods like all others. Federated accounts that the policy exempts are unaffected: another system does their second step. So are
    accounts with an exemption that still holds on the cutoff day (`outlasting`).
    """
    from migrate.core.word_columns import recoded

    effect = {"unknown": "unknown", "sms_only": word, "sms_default": "unaffected_but_surprised"}
    effects = recoded(_by_methods(accounts, policy, now), effect, "unaffected")
    spared = outlasting.to_numpy(bool)
    if policy.exempt_federated:
        spared = spared | accounts["federated"].to_numpy(bool)
    return effects.mask(spared, "unaffected")
