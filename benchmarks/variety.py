"""What a letter costs in a company of many languages and methods: `python -m benchmarks.variety`.

Letters that differ in nothing but personal values share a rendering (docs/decisions/0008). Here they also differ in the reader's language
tag, methods and default method: some ways are common and most are rare, as in a company, or all are equally common.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from benchmarks.process import ROOT
from migrate.config import Config, load
from migrate.mail.facts import Facts

LETTERS: Final = 20_000
TAGS: Final = (
    None, "en", "en-US", "en-GB", "de", "de-DE", "de-AT", "de-CH", "fr", "fr-FR", "fr-CA", "es", "es-ES", "es-MX", "it", "it-IT", "pt",
    "pt-BR", "nl", "pl", "ja", "zh-CN", "ko", "tr", "sv", "da", "fi", "cs", "hu", "ro",
)  # fmt: skip
OTHERS: Final = ("totp", "push", "passkey", "email", "voice", "hardware_key")
WAYS: Final = [
    (tag, ("sms", *more), default)
    for tag in TAGS
    for count in range(3)
    for more in itertools.combinations(OTHERS, count)
    for default in ("sms", None)
]
"""Language tag, methods and default method."""


def people(ways: Sequence[int]) -> Iterator[Facts]:
    """Somebody for each of the numbers of ways."""
    for number, way in enumerate(ways):
        tag, methods, default = WAYS[way]
        yield Facts(
            username=f"user.{number:07}",
            standing="sms_only" if methods == ("sms",) else "sms_and_other",
            methods=methods,
            display_name="Maria Santos",
            given_name="Maria",
            locale=tag,
            default_method=default,
            phone="•••12",
        )


def milliseconds(config: Config, ways: Sequence[int]) -> float:
    """Of the processor, for one of the reminders that are composed 30 days before the cutoff."""
    composer, now, asked = config.composer(), config.campaign.cutoff_at - timedelta(days=30), list(people(ways))
    begun = time.process_time()
    for number, facts in enumerate(asked):
        letter = composer.compose(
            "reminder",
            facts,
            to=f"{facts.username}@example.com",
            reference="7KQ2M4XD",
            message_id=f"<{number:040}@example.com>",
            occasion="T-30",
            now=now,
        )
        assert letter.message  # filled in when it is asked for
    return (time.process_time() - begun) * 1000 / len(asked)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variety", description=__doc__.splitlines()[0])
    parser.add_argument("--letters", type=int, default=LETTERS, help="letters of each row (default: %(default)s)")
    letters = parser.parse_args().letters
    config = load(ROOT / "config.example.toml")
    chance, numbers = random.Random(1), range(len(WAYS))
    rare = [1 / (1 + place) for place in chance.sample(numbers, len(WAYS))]
    for said, ways in (
        ("that differ in personal values alone", [0] * letters),
        (f"of {len(WAYS):,} ways, most of them rare", chance.choices(numbers, rare, k=letters)),
        (f"of {len(WAYS):,} ways, all as common", chance.choices(numbers, k=letters)),
    ):
        print(f"{milliseconds(config, ways):.3f} ms a letter, {letters:,} letters {said}", flush=True)


if __name__ == "__main__":
    main()
