"""The languages of letters: which one a person gets, what is in the catalogues, and how one is added."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
import pytest
from babel.messages.extract import extract_from_dir
from jinja2 import nodes
from mail.post import MARIA, campaign, compose, mail, parsed, part

from migrate.errors import TemplateError
from migrate.files.resources import resource
from migrate.mail.compose import Composer
from migrate.mail.facts import listed
from migrate.mail.guides import GUIDES
from migrate.mail.languages import file_of, messages_of, nearest, read_catalogue
from migrate.mail.overrides import no_texts, shipped

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "write-mail.md").read_text(encoding="utf-8")
LOCALE = resource("templates") / "locale"


def catalogue(language: str, messages: dict[str, str], folder: Path) -> Path:
    """An operator's folder with a catalogue."""
    path = folder / file_of(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = "".join(f'\nmsgid "{said}"\nmsgstr "{meant}"\n' for said, meant in messages.items())
    path.write_text(f'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n{entries}', encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("locale", "language", "day"),
    [
        ("de-AT", "de", "Mittwoch, 31. Jänner 2024"),
        ("de", "de", "Mittwoch, 31. Januar 2024"),
        ("ar-EG", "ar", "الأربعاء، 31 يناير 2024"),
        ("fr-CA", "en", "Wednesday, January 31, 2024"),
        ("en-US", "en", "Wednesday, January 31, 2024"),
        (None, "en", "Wednesday, 31 January 2024"),
    ],
)
def test_everybody_is_written_to_in_the_nearest_language_with_the_dates_of_their_region(locale: str, language: str, day: str) -> None:
    letter = compose(replace(MARIA, locale=locale))
    assert (letter.language, parsed(letter)["Content-Language"]) == (language, language)
    assert day in letter.text
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in part(letter, "html")


def test_the_campaign_s_language_stands_in_for_one_that_has_no_texts() -> None:
    by = Composer(mail(), campaign(language="de"))
    assert compose(replace(MARIA, locale="fr-FR"), by=by).language == "de"
    assert compose(replace(MARIA, locale="en-GB"), by=by).language == "en"


def test_tags_are_cut_from_their_end_until_one_fits() -> None:
    assert nearest("zh-Hant-TW", frozenset({"zh_Hant", "zh"})) == "zh_Hant"
    assert nearest("zh-Hans-CN", frozenset({"zh_Hant", "zh"})) == "zh"
    assert nearest("tlh", frozenset({"de"})) is None and nearest(None, frozenset({"de"})) is None


@pytest.mark.parametrize(
    ("language", "days", "said"),
    [
        ("de", 1, "Ihnen bleibt noch 1 Tag."),
        ("de", 14, "Ihnen bleiben noch 14 Tage."),
        ("ar", 2, "يومان"),
        ("ar", 5, "5 أيام"),
        ("ar", 14, "14 يومًا"),
    ],
)
def test_a_number_of_days_is_said_as_the_language_says_it(language: str, days: int, said: str) -> None:
    now = datetime(2024, 2, 1, 20, tzinfo=UTC) - timedelta(days=days)
    by = Composer(mail(), campaign(cutoff=datetime(2024, 2, 1, 17)))
    assert said in compose(replace(MARIA, locale=language), by=by, now=now).text


def test_items_are_listed_as_the_language_lists_them() -> None:
    by = Composer(mail(), campaign())
    german = by.wording("de").catalogue.locale
    assert listed(["a", "b", "c"], "or", german) == "a, b oder c"
    assert listed(["a", "b", "c"]) == "a, b and c"


def extracted() -> set[Any]:
    """Every message of the code and the templates, as `pybabel extract` finds them."""
    places = [(str(ROOT / "migrate" / "mail"), [("**.py", "python")]), (str(ROOT / "templates" / "mail"), [("**.j2", "jinja2")])]
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}
    found: set[Any] = set()
    for folder, method in places:
        took = extract_from_dir(
            folder, method, {"**.j2": {"silent": "false", "trimmed": "true"}}, keywords, directory_filter=lambda _: True
        )
        found |= {message for _, _, message, _, _ in took}
    return found


def test_the_catalogues_hold_every_message_and_no_other() -> None:
    messages = {each[0] if isinstance(each, tuple) else each for each in extracted()}
    template = LOCALE / "mail.pot"
    assert set(messages_of(template, template.read_text(encoding="utf-8"))) == messages
    for path in sorted(LOCALE.glob(file_of("*").removeprefix("locale/"))):
        language = path.parent.parent.name
        read = read_catalogue(language, path, path.read_text(encoding="utf-8"))
        assert set(read.messages) == messages, language
        assert all(form.strip() == form for forms in read.messages.values() for form in forms)


def test_no_template_has_a_sentence_that_no_catalogue_could_translate() -> None:
    env = jinja2.Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True)
    for path in shipped().rglob("*.j2"):
        tree = env.parse(path.read_text(encoding="utf-8"))
        text = " ".join(
            each.data for output in tree.find_all(nodes.Output) for each in output.nodes if isinstance(each, nodes.TemplateData)
        )
        words = re.findall(
            r"[A-Za-z]{2,} [A-Za-z]{2,}", re.sub(r"<style.*?</style>|<!--.*?-->|<[^>]*>|<[^>]*$|^[^<]*>", " ", text, flags=re.DOTALL)
        )
        assert words == [], path


def test_an_operator_s_catalogue_wins_over_ours_and_brings_new_languages(tmp_path: Path) -> None:
    catalogue("de", {"Hello %(name)s,": "Moin %(name)s,"}, tmp_path)
    catalogue("nl", {"Hello %(name)s,": "Dag %(name)s,"}, tmp_path)
    by = Composer(mail(templates=tmp_path), campaign())
    german = compose(replace(MARIA, locale="de"), by=by).text
    assert german.startswith("Moin Maria,") and "Ihnen bleiben noch 14 Tage." in german
    assert compose(replace(MARIA, locale="nl-BE"), by=by).text.startswith("Dag Maria,")
    assert "You have %(num)s day left." in by.untranslated()["nl"]
    assert set(by.untranslated()) == {"nl"}
    assert by.files.astray() == () and no_texts("nl", tmp_path) is None
    assert by.digest != Composer(mail(), campaign()).digest


@pytest.mark.parametrize(
    ("translation", "said"),
    [
        ("Dag %(nom)s,", r"%\(nom\)s in the translation"),
        ("Dag %(name).3s,", "a % that begins no"),
        ("Dag %s,", "a % that begins no"),
        ("%(name)s %(name)s %(name)s", "too often"),
    ],
)
def test_a_translation_that_does_more_than_print_a_value_is_refused_by_line(translation: str, said: str, tmp_path: Path) -> None:
    catalogue("nl", {"Hello %(name)s,": translation}, tmp_path)
    with pytest.raises(TemplateError, match=said) as caught:
        Composer(mail(templates=tmp_path), campaign())
    assert re.search(r"mail\.po, line \d+$", caught.value.where or "")


def test_templates_in_words_of_one_s_own_are_in_the_campaign_s_language_alone(tmp_path: Path) -> None:
    (tmp_path / "reminder").mkdir()
    (tmp_path / "reminder" / "subject.txt.j2").write_text("Only English: {{ days_left | days }}")
    by = Composer(mail(templates=tmp_path), campaign())
    assert compose(replace(MARIA, locale="de"), by=by).language == "en"
    catalogue("de", {"Hello,": "Tach,"}, tmp_path)
    by = Composer(mail(templates=tmp_path), campaign())
    assert compose(replace(MARIA, locale="de"), by=by).language == "de"


def test_the_recipe_for_a_guide_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a copy of the templates and of the registry, as docs/write-mail.md says it."""
    recipe = GUIDE.partition("### Add a guide")[2].partition("\n### ")[0]
    line = re.search(r'^    ("[\w-]+": "[^"]+",)$', recipe, re.MULTILINE)
    example = re.search(r"```jinja\n(.*?)```", recipe, re.DOTALL)
    assert line and example
    name = line[1].split('"')[1]
    (tmp_path / "_guides").mkdir()
    (tmp_path / "_guides" / f"{name}.j2").write_text(example[1], encoding="utf-8")
    monkeypatch.setitem(GUIDES, name, "")
    by = Composer(mail(templates=tmp_path), campaign(guide=name))
    assert "2. Hold your key against the reader" in compose(by=by).text
    assert len(list(by.try_all())) > 5


def test_the_recipe_for_a_language_makes_one(tmp_path: Path) -> None:
    recipe = GUIDE.partition("### Add a language")[2].partition("\n### ")[0]
    commands = re.findall(r"^    (pybabel .*)$", recipe, re.MULTILINE)
    assert len(commands) == 2
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    shutil.copytree(ROOT / "migrate" / "mail", tmp_path / "migrate" / "mail")
    for command in commands:
        arguments = [each.strip("'") for each in command.split()[1:]]
        subprocess.run([sys.executable, "-m", "babel.messages.frontend", *arguments], cwd=tmp_path, check=True, capture_output=True)
    made = tmp_path / "templates" / file_of("nl")
    text = made.read_text(encoding="utf-8")
    assert 'msgid "Hello %(name)s,"\nmsgstr ""' in text
    mine = tmp_path / "mine"
    (mine / file_of("nl")).parent.mkdir(parents=True)
    (mine / file_of("nl")).write_text(text.replace('msgid "Hello %(name)s,"\nmsgstr ""', 'msgid "Hello %(name)s,"\nmsgstr "Dag %(name)s,"'))
    assert compose(replace(MARIA, locale="nl"), by=Composer(mail(templates=mine), campaign())).text.startswith("Dag Maria,")
