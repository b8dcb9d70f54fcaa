from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.mail.addresses import invited_as, problem, problems, wire

GOOD = [
    "maria@example.com", "o'brien+2fa@mail.example.co.uk", "x@y-z.test", '"john doe"@example.com', '"a@b"@example.com',
    "jürgen@example.com", "room#5@example.com", "ext@example.com", "a#ext@example.com",
    "maria@exämple.com", "用户@例え.jp", "a@xn--exmple-cua.com", f"{'a' * 64}@example.com",
]  # fmt: skip
BAD = {
    "": "it is empty",
    "   ": "it is empty",
    "maria example@example.com": "it has a space in it",
    "maria@example.com ": "it has a space in it",
    "a@b@example.com": "it has more than one @",
    "maria@example.com\nBcc: all@example.com": "it has a control character or a line break in it",
    "maria\x00@example.com": "it has a control character or a line break in it",
    f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.com": "it is longer than 254 characters",
    "name_example.org#EXT#@example.onmicrosoft.com": "it is a guest's sign-in name, which no mailbox has",
    "maria#ext#x@example.com": "it is a guest's sign-in name, which no mailbox has",
    '"maria #Ext#"@example.com': "it is a guest's sign-in name, which no mailbox has",
    "jürgen_exämple.org#EXT#@exämple.com": "it is a guest's sign-in name, which no mailbox has",
    "@example.com": "there must be something before the @-sign",
}


@pytest.mark.parametrize("address", GOOD)
def test_an_address_that_can_be_mailed_has_no_problem(address: str) -> None:
    assert problem(address) is None


@pytest.mark.parametrize(("address", "reason"), BAD.items())
def test_an_address_that_cannot_be_mailed_has_its_reason_in_words(address: str, reason: str) -> None:
    assert problem(address) == reason


@pytest.mark.parametrize(
    "address",
    ["maria", "maria@", "maria@example", "ma..ria@example.com", ".maria@example.com", "maria@-example.com", "maria@[127.0.0.1]",
     f"{'a' * 65}@example.com", f"maria@{'b' * 64}.com", "Maria <maria@example.com>", "maria@exa_mple.com", "maria@example.com.",
     "a\ud800@b.com"],
)  # fmt: skip
def test_what_is_no_address_has_a_problem(address: str) -> None:
    assert problem(address)


def test_a_column_is_judged_like_each_of_its_addresses_and_a_missing_one_is_left_to_the_caller() -> None:
    column = pd.Series([*GOOD, *BAD, None, "maria@example.com"], dtype="str", index=range(100, 102 + len(GOOD) + len(BAD)))
    found = problems(column)
    assert found.dtype == "str"
    assert list(found.index) == list(column.index)
    assert found.dropna().to_list() == list(BAD.values())
    assert found.iloc[-2:].isna().all()


def test_an_empty_column_has_no_problems() -> None:
    assert problems(pd.Series([], dtype="str")).empty


@settings(deadline=None)
@given(
    st.lists(
        st.text(alphabet="aB1@. -_é\n\"'#", max_size=12)
        | st.from_regex(r"[a-c1.+]{1,8}@[a-c.-]{1,5}\.(com|é)", fullmatch=True)
        | st.from_regex(r"[a-c1.]{0,3}#(ext|EXT|Ex)#[a-c]{0,2}@[a-c]{1,5}\.com", fullmatch=True)
    )
)
def test_the_fast_way_and_the_slow_way_agree(addresses: list[str]) -> None:
    found = problems(pd.Series(addresses, dtype="str"))
    assert [None if pd.isna(reason) else reason for reason in found] == [problem(address) for address in addresses]


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ann_fabrikam.com#EXT#@contoso.onmicrosoft.com", "ann@fabrikam.com"),
        ("ann_lee_fabrikam.co.uk#ext#@contoso.com", "ann_lee@fabrikam.co.uk"),
        ("ann_lee@contoso.com", None),
        ("#EXT#@contoso.com", None),
        ("ann#EXT#@contoso.com", None),
    ],
)
def test_a_guest_s_sign_in_name_says_which_address_was_invited(name: str, address: str | None) -> None:
    assert invited_as(name) == address


def test_on_the_wire_a_domain_is_ascii_and_the_local_part_as_it_was() -> None:
    assert wire("Maria@exämple.com") == "Maria@xn--exmple-cua.com"
    assert wire("jürgen@example.com") == "jürgen@example.com"
    assert wire("Maria@Example.com") == "Maria@Example.com"


def test_a_domain_that_has_no_ascii_form_is_refused() -> None:
    with pytest.raises(ValueError, match="two periods"):
        wire("maria@é..com")
