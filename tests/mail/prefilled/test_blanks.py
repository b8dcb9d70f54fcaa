from __future__ import annotations

import jinja2
import pytest

from migrate.mail.prefilled.blanks import only_prints

_ENVIRONMENT = jinja2.Environment(autoescape=True)


def prints(*sources: str) -> bool:
    return only_prints(tuple(_ENVIRONMENT.parse(source) for source in sources))


@pytest.mark.parametrize(
    "source",
    [
        "Hello {{ account.name }}, {{ days_left }} days",
        "{{ 'Hello ' ~ account.name ~ ',' if account.name else 'Hello,' }}",
        "{{ account.name or 'you' }}{{ account.name | default('you', true) }}{{ 'a' + account.username }}",
        "{% if not account.phone %}no phone{% elif account.phone is defined and account.phone is not none %}{{ account.phone }}{% endif %}",
        "{% set who = ' (' ~ account.phone ~ ')' if account.phone else '' %}{{ who }}",
        "{% set who %}{{ account.name }}{% endset %}{{ who }}",
        "{% with who = account.name %}{{ who }}{% endwith %}",
        "{% macro dear(who) %}Dear {{ who }}{% endmacro %}{{ dear(account.name) }}",
        "{% macro box() %}{{ caller() }}{% endmacro %}{% call box() %}{{ to }}{% endcall %}",
        "{% macro all() %}{{ account.name }}\nyes{% endmacro %}{% for line in all().strip().splitlines() %}{{ line }}{% endfor %}",
        "{% for line in account.name.splitlines() %}{{ loop.index }} {{ line }}{% endfor %}",
        "{% import 'words' as words with context %}{{ words.greeting() }}{{ words.note }}",
        "{% from 'words' import greeting with context %}{{ greeting(to) }}",
        "{% extends 'base' %}{% block content %}{{ reference }}{{ super() }}{{ self.content() }}{% endblock %}",
        "{% if account.standing == 'sms_only' and days_left > 3 %}{{ account.methods | join(', ') | upper }}{% endif %}",
        "{% for word in account.methods[:-1] | reverse %}{{ word | title }}{% endfor %}",
    ],
)
def test_a_template_that_prints_its_person_and_no_more_is_known_as_such(source: str) -> None:
    assert prints(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ account.name | upper }}",
        "{{ account.name | safe }}",
        "{{ account.name | e }}",
        "{{ account.name.split(' ')[0] }}",
        "{{ account.name[0] }}",
        "{{ account['name'] }}",
        "{{ account }}",
        "{% set me = account %}{{ me.name | upper }}",
        "{% if account.name == 'Maria' %}x{% endif %}",
        "{% if 'a' in to %}x{% endif %}",
        "{% if account.name is string %}x{% endif %}",
        "{{ account.name | length }}",
        "{{ [account.name] }}",
        "{{ {'a': account.name} }}",
        "{{ dict(a=account.name) }}",
        "{{ '%s' % account.name }}",
        "{{ '%s' | format(account.name) }}",
        "{{ '{}'.format(account.name) }}",
        "{{ ', '.join([account.name]) }}",
        "{{ account.name * 2 }}",
        "{% for letter in account.name %}{{ letter }}{% endfor %}",
        "{% for line in account.name.splitlines() if line == 'x' %}{{ line }}{% endfor %}",
        "{% for line in account.name.splitlines() %}{{ loop.previtem }}{% endfor %}",
        "{% for line in account.name.splitlines() %}{{ line | upper }}{% endfor %}",
        "{{ account.name.splitlines() }}",
        "{% set who = account.name ~ '!' %}{{ who | length }}",
        "{% set a, b = account.name, 1 %}{{ a }}",
        "{% set box = namespace(who=account.name) %}{{ box.who }}",
        "{% set box = namespace() %}{% set box.who = account.name %}{{ box.who }}",
        "{% set who | upper %}{{ account.name }}{% endset %}{{ who }}",
        "{% set who %}{{ account.name }}{% endset %}{{ who[:3] }}",
        "{% with who = account.name %}{{ who | upper }}{% endwith %}",
        "{% macro dear(who) %}{{ who | upper }}{% endmacro %}{{ dear(account.name) }}",
        "{% macro dear() %}{{ account.name }}{% endmacro %}{{ dear() | upper }}",
        "{% macro dear() %}{{ account.name }}{% endmacro %}{% if dear() == 'x' %}x{% endif %}",
        "{% macro dear() %}{{ varargs[0] | upper }}{% endmacro %}{{ dear(to) }}",
        "{% macro box() %}{{ caller() | upper }}{% endmacro %}{% call box() %}{{ to }}{% endcall %}",
        "{% filter upper %}{{ account.name }}{% endfilter %}",
        "{% autoescape false %}{{ account.name }}{% endautoescape %}",
        "{% import 'words' as words with context %}{{ words.note | upper }}",
        "{% from 'words' import greeting %}{{ greeting() | upper }}",
        "{% include account.name %}",
        "{% include which %}",
        "{% block content %}{{ account.name }}{% endblock %}{{ self.content() | upper }}",
    ],
)
def test_a_template_that_looks_at_its_person_is_not(source: str) -> None:
    assert not prints(source)


def test_a_name_that_one_template_gives_and_another_looks_at_is_followed() -> None:
    looks = "{% if who == 'Maria' %}x{% endif %}"
    assert prints(looks)
    assert not prints(looks, "{% set who = account.name %}{% include 'looks' %}")
