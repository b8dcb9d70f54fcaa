"""Where an account stands with respect to the campaign (`[policy]`, design §5). Pure: frames in, columns out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from migrate.accounts import METHODS, methods_of
from migrate.campaign import AtCutoff
from migrate.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

STANDINGS: Final = (
    "inactive", "exempt_sso", "exempt", "migrated", "sms_fallback", "sms_default", "sms_only", "unknown", "no_second_step",
)  # fmt: skip
OUT_OF_SCOPE: Final = frozenset({"inactive", "exempt_sso", "exempt"})
REMINDABLE: Final = frozenset(STANDINGS) - OUT_OF_SCOPE - {"migrated"}
AT_CUTOFF: Final = ("unaffected", "unknown", "loses_second_step", "locked_out", "must_re_enrol", "unaffected_but_surprised")

BACKUP_CODE: Final = methods_of(("backup_code",))
UNCERTAIN: Final = methods_of(("unknown", "other"))


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
    """`[policy]`."""

    retired: Annotated[tuple[str, ...], AfterValidator(_methods)] = Field(("sms", "voice"), min_length=1)
    accepted: Annotated[tuple[str, ...], AfterValidator(_methods)] = Field(
        ("totp", "push", "passkey", "hardware_otp", "certificate"), min_length=1
    )
    remind: Annotated[tuple[str, ...], AfterValidator(_remindable)] = ("sms_only", "sms_default")
    exempt_federated: bool = True
    strict_fallback: bool = False
    confirm_days: int = Field(30, ge=1)
    old_address_days: int = Field(30, ge=0)

    @model_validator(mode="after")
    def _disjoint(self) -> PolicySettings:
        if both := sorted(set(self.retired) & set(self.accepted)):
            raise ValueError(f"retired and accepted both name {', '.join(both)}")
        return self

    @property
    def retired_bits(self) -> int:
        """`phone` is a telephone whose use is not told apart: retired as soon as `sms` is (design §4)."""
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


def _by_methods(accounts: pd.DataFrame, policy: PolicySettings) -> pd.Series:
    """The standing that the methods alone give: everything below `exempt` in the table of design §5."""
    import numpy as np
    import pandas as pd

    methods = accounts["methods"]
    retired, accepted = has_any(methods, policy.retired_bits), has_any(methods, policy.accepted_bits)
    registered = accounts["default_method"].map({word: 1 << i for i, word in enumerate(METHODS)}).fillna(0).astype("int32") & methods
    by_default = has_any(registered, policy.retired_bits)
    other = has_any(methods, ~BACKUP_CODE)
    words = np.select(
        [accepted & ~retired, accepted & retired & ~by_default, accepted & retired, retired, other],
        ["migrated", "sms_fallback", "sms_default", "sms_only", "unknown"],
        default="no_second_step",
    )
    return pd.Series(words, index=accounts.index, dtype="str")


def assess(accounts: pd.DataFrame, policy: PolicySettings, exempt: pd.Series) -> pd.Series:
    """The standing of each account; the first matching row of design §5 wins.

    `accounts` has `ACCOUNT_COLUMNS`; `exempt` is true where an exemption is in force today.
    """
    standing = _by_methods(accounts, policy)
    standing = standing.mask(exempt.to_numpy(bool), "exempt")
    if policy.exempt_federated:
        standing = standing.mask(accounts["federated"], "exempt_sso")
    return standing.mask(~accounts["enabled"], "inactive")


def at_cutoff(accounts: pd.DataFrame, policy: PolicySettings, word: AtCutoff, outlasting: pd.Series) -> pd.Series:
    """What the cutoff does to each account (design §5), a word of `AT_CUTOFF`.

    Decided from the methods, also for inactive accounts. Federated accounts that the policy exempts are unaffected: their second
    step belongs to another system. `outlasting` is true where an exemption still holds on the cutoff day.
    """
    effect = {"unknown": "unknown", "sms_only": word, "sms_default": "unaffected_but_surprised"}
    found = _by_methods(accounts, policy).map(effect).fillna("unaffected").astype("str")
    spared = outlasting.to_numpy(bool)
    if policy.exempt_federated:
        spared = spared | accounts["federated"].to_numpy(bool)
    return found.mask(spared, "unaffected")
