from __future__ import annotations

from pathlib import Path

import pytest
from mail.post import campaign, compose, mail, part

from migrate.core.kinds import KINDS
from migrate.errors import TemplateError
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.overrides import no_texts, shipped
from migrate.mail.templates import inline

CSS = "p { color: #111 } .care { color: red } @media print { p { color: #000 !important } }"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "reminder").mkdir()
    return tmp_path


def own(folder: Path) -> Composer:
    return Composer(mail(templates=folder), campaign())


def test_an_operator_s_file_takes_the_place_of_ours_and_the_rest_stays(folder: Path, composer: Composer) -> None:
    (folder / "reminder" / "subject.txt.j2").write_text("{{ campaign.product }}: {{ days_left }} days\n")
    letter, ours = compose(by=own(folder)), compose(by=composer)
    assert letter.subject == "Example account: 14 days"
    assert (letter.text, letter.html) == (ours.text, ours.html)


def test_a_copy_of_the_whole_templates_folder_works_too(tmp_path: Path) -> None:
    (tmp_path / "mail" / "reminder").mkdir(parents=True)
    (tmp_path / "mail" / "reminder" / "subject.txt.j2").write_text("Ours")
    assert compose(by=own(tmp_path)).subject == "Ours"


def test_an_operator_s_page_gets_the_same_style(folder: Path) -> None:
    (folder / "reminder" / "body.html.j2").write_text('{% if account.name %}<p class="care">Hi {{ account.name }}</p>{% endif %}')
    assert "border-left: 4px solid #a86400" in part(compose(by=own(folder)), "html")


def test_an_operator_s_style_sheet_is_used_for_our_pages(folder: Path) -> None:
    (folder / "_frame").mkdir()
    (folder / "_frame" / "style.css").write_text("p { color: rebeccapurple }")
    html = part(compose(by=own(folder)), "html")
    assert '<p style="color: rebeccapurple;">Hello Maria,</p>' in html


def test_a_mistake_in_a_template_is_told_by_file_and_line(folder: Path) -> None:
    (folder / "reminder" / "body.html.j2").write_text("<p>\nfine</p>\n<p\n>{% if %}</p>\n")
    with pytest.raises(TemplateError, match="line 4") as caught:
        own(folder)
    assert caught.value.where == str(folder / "reminder" / "body.html.j2")
    assert caught.value.exit_code == 2


def test_a_template_that_builds_on_a_missing_one_names_it(folder: Path) -> None:
    (folder / "reminder" / "body.txt.j2").write_text("{% extends '_frame/other.txt.j2' %}")
    with pytest.raises(TemplateError, match=r"_frame/other\.txt\.j2 is missing"):
        own(folder)


def test_a_template_reaches_no_file_outside_its_folders(folder: Path) -> None:
    secret = folder.parent / "secret.j2"
    secret.write_text("secret")
    for name in ("../secret.j2", str(secret)):
        (folder / "reminder" / "body.txt.j2").write_text(f"{{% include '{name}' %}}")
        with pytest.raises(TemplateError, match="is missing"):
            own(folder)


@pytest.mark.parametrize("name", ["reminder/subject.txt.j2", "reminder/body.html.j2", "_frame/words.j2", "_frame/style.css"])
@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("latin-1", r"is not UTF-8 text \(line 1\)"),
        ("utf-16", "is UTF-16 and not UTF-8 text"),
        ("utf-16-le", "null bytes in it, as in UTF-16"),
    ],
)
def test_a_template_in_another_encoding_is_named_with_what_to_do(folder: Path, name: str, encoding: str, said: str) -> None:
    (folder / "_frame").mkdir()
    (folder / name).write_bytes(("for" if encoding == "utf-16-le" else "für").encode(encoding))
    with pytest.raises(TemplateError, match=f"{said}.*Save it as UTF-8") as caught:
        own(folder)
    assert caught.value.where == str(folder / name)


def test_a_byte_order_mark_is_no_part_of_any_template(folder: Path, composer: Composer) -> None:
    for path in shipped().rglob("*.*"):
        copy = folder / path.relative_to(shipped())
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig", newline="\r\n")
    marked = own(folder)
    assert len(marked.files.own()) == len([name for name in marked.files.texts if not name.startswith("locale/")])
    for kind in KINDS:
        letters = [[letter for of, letter in each.try_all() if of == kind] for each in (marked, composer)]
        assert letters[0] == letters[1]
    assert set(marked.files.unchanged()) == {
        name.replace("used", "authenticator-app") for name in marked.files.texts if name.endswith(".j2")
    }


def test_our_texts_that_an_editor_saved_with_a_byte_order_mark_are_no_texts_in_another_language(folder: Path) -> None:
    for path in shipped().rglob("*.j2"):
        copy = folder / path.relative_to(shipped())
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert "not there, or still ours" in (no_texts("nl", folder) or "")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="is no folder"):
        own(tmp_path / "nowhere")


def test_a_file_that_no_letter_uses_is_told_when_all_are_tried(folder: Path) -> None:
    (folder / "reminder" / "subjet.txt.j2").write_text("misspelt")
    with pytest.raises(TemplateError, match="no letter uses this template"):
        list(own(folder).try_all())


def test_an_unknown_variable_is_found_when_all_templates_are_tried(folder: Path) -> None:
    (folder / "reminder" / "body.txt.j2").write_text("\n{% if account.standing == 'sms_default' %}\n{{ nobody_knows }}\n{% endif %}x")
    with pytest.raises(TemplateError, match="'nobody_knows' is undefined") as caught:
        list(own(folder).try_all())
    assert caught.value.where == f"{folder / 'reminder' / 'body.txt.j2'}, line 3"


@pytest.mark.parametrize(
    ("source", "variable"),
    [("{{ nobody_knows }}", "nobody_knows"), ("{{ account.shoe_size }}", "shoe_size"), ("{{ change.name }}", "name")],
)
def test_a_letter_that_asks_for_something_unknown_names_it(folder: Path, source: str, variable: str) -> None:
    (folder / "reminder" / "body.txt.j2").write_text(source)
    with pytest.raises(UnrenderableError, match=variable) as caught:
        compose(by=own(folder))
    assert caught.value.variable == variable


def test_a_template_whose_arithmetic_fails_holds_its_letter_back(folder: Path) -> None:
    (folder / "reminder" / "body.txt.j2").write_text("{{ 1 / (days_left - 14) }}")
    with pytest.raises(UnrenderableError, match="ZeroDivisionError"):
        compose(by=own(folder))


@pytest.mark.parametrize("source", ["{{ account.__class__.__mro__ }}", "{{ ''.__class__ }}", "{{ account.update(name='x') }}"])
def test_a_template_cannot_leave_its_sandbox(folder: Path, source: str) -> None:
    (folder / "reminder" / "body.txt.j2").write_text(source)
    with pytest.raises(UnrenderableError):
        compose(by=own(folder))


@pytest.mark.parametrize("source", ["one\ntwo", "{{ 'one\\rtwo' }}", "{{ 'one\\u2028two' }}", "{{ '\\x1b[31m' }}"])
def test_a_subject_of_several_lines_is_refused(folder: Path, source: str) -> None:
    (folder / "reminder" / "subject.txt.j2").write_text(source)
    with pytest.raises(UnrenderableError, match="line break"):
        compose(by=own(folder))


def test_an_empty_subject_is_refused(folder: Path) -> None:
    (folder / "reminder" / "subject.txt.j2").write_text("\n  \n")
    with pytest.raises(UnrenderableError, match="empty"):
        compose(by=own(folder))


def test_css_goes_into_the_elements_of_a_fragment_and_leaves_jinja_alone() -> None:
    source = '{% extends "x" %}\n{% block b %}<p class="care {{ a }}" {{ b }}>{{ c|e("<") }}{# no #}</p>{% endblock %}'
    styled = inline(source, CSS, where="here")
    assert (
        styled
        == '{% extends "x" %}\n{% block b %}<p class="care {{ a }}" {{ b }} style="color: red;">{{ c|e("<") }}{# no #}</p>{% endblock %}'
    )


def test_a_whole_page_keeps_its_media_queries() -> None:
    styled = inline("<html><head><title>{{ t }}{% if a %}!{% endif %}</title></head><body><p>x</p></body></html>", CSS, where="here")
    assert "@media print" in styled
    assert "<title>{{ t }}{% if a %}!{% endif %}</title>" in styled
    assert '<p style="color: #111;">x</p>' in styled


def test_the_character_set_comes_early_enough_for_a_browser(composer: Composer) -> None:
    html = compose(by=composer).html
    assert html.index('<meta charset="utf-8">') < 1024 and html.index("@media") < html.index("</head>")


def test_rows_of_a_table_may_be_repeated() -> None:
    styled = inline("<table>{% for a in b %}<tr><td>{{ a }}</td></tr>{% endfor %}</table>", CSS, where="here")
    assert styled.replace("<tbody>", "").replace("</tbody>", "") == "<table>{% for a in b %}<tr><td>{{ a }}</td></tr>{% endfor %}</table>"


def test_a_tag_that_html_would_lose_is_refused() -> None:
    with pytest.raises(TemplateError, match="HTML allows none"):
        inline(
            '<p {% if a %}class="x"{% else %}class="y"{% endif %} {% if a %}b{% endif %}="c">x</p><p class="x" class="{{ y }}">',
            CSS,
            where="here",
        )
