"""What a template may cost: loops without end and bombs are refused in seconds, by file and line, before they are made."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
from mail.post import campaign, compose, mail
from office import Office

from migrate.errors import TemplateError
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.template_limits import OUTPUT

ENDLESS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(999) %}{% for b in range(99999) if b == -1 %}{% endfor %}{% endfor %}",
    "{% for a in range(10**9) %}{% endfor %}",
    "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% for i in range(99999) recursive %}{{ loop(range(99999)) }}{% endfor %}",
    '{% set c = cycler("a") %}{% for i in range(99999) %}{% for j in range(99999) %}{{ c.next() }}{% endfor %}{% endfor %}',
    '{% include "reminder/body.txt.j2" %}{% include "reminder/body.txt.j2" %}',
    '{{ range(99999)|map("string")|join }}',
    '{% for i in range(999) %}{{ range(99999)|select("in", [])|list }}{% endfor %}',
    '{% for i in range(99) %}{{ ("a " * 100000)|wordwrap(2)|length }}{% endfor %}',
    '{% for i in range(999) %}{{ (" " * 16000)|wordwrap(1)|length }}{% endfor %}',
    '{{ (" " * 262000)|wordwrap(1)|length }}',
    "{{ (10 ** 9) ** (10 ** 9) }}",
    '{{ 1|round(1000000000, "ceil") }}',
]
LARGE = [
    '{{ "a" * 10**9 }}',
    '{{ ["a"] * 10**9 }}',
    '{{ (["a" * 9000] * 9000) }}',
    '{{ "a"|center(1000000000) }}',
    '{{ "a".center(1000000000) }}',
    '{% set f = "a"|attr("ljust") %}{{ f(1000000000) }}',
    '{{ "x".zfill(10**9) }}',
    '{{ "%1000000000d" % 1 }}',
    '{{ "%*d" % (1000000000, 1) }}',
    '{{ "%1000000000d"|format(1) }}',
    '{{ "{:1000000000}".format(1) }}',
    '{{ "{:{}}".format(1, 1000000000) }}',
    '{{ "{x:1000000000}".format_map({"x": 1}) }}',
    '{{ ("a\\n" * 9000)|indent(9000) }}',
    '{{ "\\t".expandtabs(1000000000) }}',
    '{{ ("a" * 9000)|replace("a", "b" * 9000) }}',
    '{{ ("a" * 9000).replace("a", "b" * 9000) }}',
    '{{ ("x" * 9000).join("y" * 9000) }}',
    '{{ range(9999)|join("y" * 9000) }}',
    '{{ range(9999)|map("string")|join("y" * 9000) }}',
    '{{ ("a" * 99999).translate({97: "x" * 99999}) }}',
    '{{ [1]|batch(1000000000, "x")|list }}',
    "{{ [1, 2]|tojson(1000000000) }}",
    '{{ (1).to_bytes(1000000000, "big") }}',
    '{% set ns = namespace(x="a") %}{% for i in range(90) %}{% set ns.x = ns.x + ns.x %}{% endfor %}',
    '{% set ns = namespace(x="a") %}{% for i in range(90) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}',
    '{% set ns = namespace(x=["a"]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}',
    '{% set b = "x" * 200000 %}{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x, b[1:]] %}{% endfor %}',
    '{% set b = "x" * 200000 %}{% for i in range(9999) %}{{ b }}{% endfor %}',
    '{% set b %}{% for i in range(9999) %}{{ "x" * 9999 }}{% endfor %}{% endset %}',
    "{{ " + " ~ ".join(["campaign.name"] * 1000) + " }}",
]


SECONDS = 4
"""A text has two, and no single call of a filter or a method takes as long."""


def own(folder: Path, text: str, name: str = "reminder/body.txt.j2") -> Path:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("bomb", ENDLESS + LARGE)
def test_a_template_that_makes_too_much_or_goes_on_for_too_long_is_refused_by_file_and_line(bomb: str, tmp_path: Path) -> None:
    path = own(tmp_path, f"Hello\n{bomb}\n")
    memory, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(TemplateError) as caught:
        Composer(mail(templates=tmp_path), campaign()).refuse_overruns()
    assert time.process_time() - begun < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 100_000, "kilobytes"
    said = str(caught.value)
    assert str(path) in said
    assert "line 2" in said


def test_what_letters_need_is_far_from_too_much(tmp_path: Path) -> None:
    text = """\
{% set ns = namespace(steps="") %}
{% for step in campaign.settings_path * 20 %}{% set ns.steps = ns.steps ~ loop.index ~ ". " ~ step ~ "\\n" %}{% endfor %}
{{ ns.steps|indent(4) }}{{ "%-20s|%5.1f"|format(campaign.product, 1.5) }}{{ "{:>10}".format(days_left) }}{{ "-" * 72 }}
{{ campaign.name.replace("s", "S")|center(40) }}{{ account.methods|join(", ")|wordwrap(60) }}{{ range(10)|map("string")|join }}
{{ 2 ** 10 }}{{ [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]|sum }}{{ account|tojson(2)|length }}{{ {"a": 1}|items|list }}
"""
    own(tmp_path, text)
    by = Composer(mail(templates=tmp_path), campaign())
    by.refuse_overruns()
    written = compose(by=by).text
    assert "1. Profile and Settings\n    2. Password and Security" in written
    assert "Example account     |  1.5        14" + "-" * 72 in written
    assert "0123456789" in written


def test_a_pattern_goes_on_escaping_what_it_is_given(tmp_path: Path) -> None:
    own(tmp_path, '<p>{{ ("<b>{}</b>"|safe).format("<i>") }}{{ ("<b>%s</b>"|safe) % "<i>" }}</p>', "reminder/body.html.j2")
    html = compose(by=Composer(mail(templates=tmp_path), campaign())).html
    assert html.count("<b>&lt;i&gt;</b>") == 2


def test_a_text_of_just_under_the_limit_is_written_and_of_just_over_it_is_not(tmp_path: Path) -> None:
    line = "x" * 63
    for lines, fits in ((OUTPUT // 64 - 1, True), (OUTPUT // 64 + 1, False)):
        own(tmp_path, f"{{% for i in range({lines}) %}}\n{line}\n{{% endfor %}}")
        by = Composer(mail(templates=tmp_path), campaign())
        if fits:
            assert len(compose(by=by).text) == lines * 64
        else:
            with pytest.raises(UnrenderableError, match="a text of more than 1,048,576 characters"):
                compose(by=by)


def test_a_bomb_is_refused_by_check_and_before_a_run_and_a_dry_run_and_nothing_is_sent(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    (office.folder / "templates").mkdir()
    path = own(office.folder / "templates", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    office.mail = 'templates = "templates"\n' + office.mail
    office.hire("ada")
    office.write()
    for words in (("check",), ("dry-run", "--as-of", "2024-01-02T06:00"), ("run", "--as-of", "2024-01-02T06:00")):
        done = office.migrate(*words)
        assert done.code == 2, (words, done.out, done.err)
        assert f"{path}, line 1: it takes more than 20,000 turns" in done.out + done.err
    assert office.mails() == []


@pytest.mark.parametrize("what", ["file", "folder", "mails"])
def test_a_link_out_of_the_templates_folder_is_refused_wherever_it_stands(what: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    (secret / "mail" / "reminder").mkdir(parents=True)
    (secret / "mail" / "reminder" / "body.txt.j2").write_text("a secret")
    folder = tmp_path / "templates"
    folder.mkdir()
    match what:
        case "file":
            (folder / "reminder").mkdir()
            (folder / "reminder" / "body.txt.j2").symlink_to(secret / "mail" / "reminder" / "body.txt.j2")
        case "folder":
            (folder / "reminder").symlink_to(secret / "mail" / "reminder")
        case "mails":
            (folder / "mail").symlink_to(secret / "mail")
    with pytest.raises(TemplateError, match="is a link out of") as caught:
        Composer(mail(templates=folder), campaign())
    assert caught.value.where is not None
    assert "reminder/body.txt.j2" in caught.value.where


def test_a_style_sheet_and_an_included_text_may_not_be_links_out_either(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret")
    folder = tmp_path / "templates"
    (folder / "_frame").mkdir(parents=True)
    (folder / "_frame" / "style.css").symlink_to(tmp_path / "secret")
    with pytest.raises(TemplateError, match="is a link out of"):
        Composer(mail(templates=folder), campaign())
    (folder / "_frame" / "style.css").unlink()
    (folder / "_frame" / "more.j2").symlink_to(tmp_path / "secret")
    own(folder, '{% include "_frame/more.j2" %}')
    with pytest.raises(TemplateError, match="is a link out of"):
        Composer(mail(templates=folder), campaign())


def test_links_within_the_folder_and_a_folder_that_is_one_are_followed(tmp_path: Path) -> None:
    """As a container mounts them: `..data` is a link to the version that counts, and each file one into it."""
    (tmp_path / "mount" / "v1" / "reminder").mkdir(parents=True)
    (tmp_path / "mount" / "v1" / "reminder" / "subject.txt.j2").write_text("Ours")
    (tmp_path / "mount" / "reminder").symlink_to(Path("v1") / "reminder")
    (tmp_path / "templates").symlink_to(tmp_path / "mount")
    assert compose(by=Composer(mail(templates=tmp_path / "templates"), campaign())).subject == "Ours"


def test_a_template_of_more_than_a_quarter_of_a_megabyte_is_refused(tmp_path: Path) -> None:
    own(tmp_path, "x" * 300_000)
    with pytest.raises(TemplateError, match="has 300,000 bytes, and 262,144 are the most"):
        Composer(mail(templates=tmp_path), campaign())
