"""The guide to writing mail says what is so."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from mail.post import campaign, compose, mail

from migrate.core.kinds import KINDS
from migrate.files.resources import resource
from migrate.mail.compose import Composer
from migrate.mail.person import person_of
from migrate.mail.sample import samples
from migrate.mail.values import TemplateValues

GUIDE = (Path(__file__).parents[2] / "docs" / "write-mail.md").read_text(encoding="utf-8")


def chapter(name: str) -> str:
    return GUIDE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_the_guide_names_every_kind_and_every_value_and_no_other(composer: Composer) -> None:
    kinds, values = (
        re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
        for section in (chapter(name) for name in ("The kinds", "What a template can ask for"))
    )
    assert [re.findall(r"`(\w+)`", row)[0] for row in kinds] == list(KINDS)
    names = set()
    for kind in ("change_confirmation", "cutoff_moved"):
        sample = samples(kind, campaign())[0]
        given = TemplateValues(campaign(), mail(), composer.wording)
        context = given.of(kind, sample.facts, person_of(sample.facts, "a@b.test", "R"), sample.now, campaign().cutoff_at)
        names |= {
            f"{name}.{key}" if isinstance(value, dict) else name
            for name, value in context.items()
            for key in (value if isinstance(value, dict) else [name])
        }
    names -= {"change", "moved"}  # as a whole they are asked for, where a letter of another kind has none
    assert {name for row in values for name in re.findall(r"`([\w.]+)`", row)} == names


def test_the_summary_of_each_kind_is_the_one_in_the_code() -> None:
    for kind in KINDS.values():
        assert f"| `{kind.name}` | {kind.summary} |" in GUIDE


def test_the_example_makes_a_letter(tmp_path: Path) -> None:
    example = re.search(r"`([\w./]+)`, a reminder.*?```jinja\n(.*?)```", chapter("An example"), re.DOTALL)
    setting = re.search(r'^templates = "(\w+)"$', GUIDE, re.MULTILINE)
    assert example and setting
    # Beside the full set that `init --templates` writes, the file must be the one that counts.
    shutil.copytree(resource("templates") / "mail", tmp_path / setting[1] / "mail")
    (tmp_path / example[1]).write_text(example[2])
    text = compose(by=Composer(mail(templates=tmp_path / setting[1]), campaign())).text
    assert "You have 14 days left." in text and "7. Enter the code that the app shows." in text
