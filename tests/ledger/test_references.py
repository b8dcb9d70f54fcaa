from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migrate.ledger.references import ALPHABET, LENGTH, as_typed, reference

KEY = ("a1", 1, "T-30", "2024-02-01T08:00:00Z")


def test_a_reference_is_the_same_wherever_it_is_made() -> None:
    assert reference("secret", KEY, "a@example.com") == reference("secret", KEY, "a@example.com") == "CWM2N8DW"


def test_every_part_of_the_key_matters() -> None:
    made = {
        reference("secret", KEY, "a@example.com"),
        reference("other", KEY, "a@example.com"),
        reference("secret", ("a2", *KEY[1:]), "a@example.com"),
        reference("secret", KEY, "b@example.com"),
        reference("secret", KEY, "a@example.com", salt=1),
        reference("secret", ("a1", 11, "-30", KEY[3]), "a@example.com"),
    }
    assert len(made) == 6


def test_no_character_is_read_as_another() -> None:
    assert not set("0O1ILUAE") & set(ALPHABET)


@given(st.text(), st.text(), st.text())
def test_a_reference_has_eight_characters_and_survives_being_read_out(secret: str, account_id: str, address: str) -> None:
    ref = reference(secret, (account_id,), address)
    assert len(ref) == LENGTH
    assert set(ref) <= set(ALPHABET)
    assert as_typed(f"  {ref[:4].lower()} - {ref[4:]}\n") == ref
