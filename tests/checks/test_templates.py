"""``check`` advises where a value of one table can make a topic of another one."""

from __future__ import annotations

from functools import partial

import pytest

from pgwamp.checks import check_all, topics
from tests.conftest import Database, MakeSettings

#: Templates of note, with {p} for the prefix, and what they can be; None: nothing of others.
TEMPLATES = {
    "{p}.{kind}.{op}": "{p}.orders.inserted, a topic of public.orders",
    "{p}.o{kind}s.updated": "{p}.orders.updated, a topic of public.orders",
    "{p}.{kind}.{id}": "{p}.about.truncated, a topic of public.about",
    "{p}.orders.deleted": "{p}.orders.deleted, a topic of public.orders",
    "{p}.bills.{kind}.inserted": "{p}.bills.paid.inserted, a topic of public.bills",
    "{p}.note.{kind}.{op}": None,
    "{p}.note.{op}": None,
    "{p}.x{kind}.{op}": None,
    "{p}.{kind}": None,
    "org.other.{kind}.{op}": None,
    # As another table has it, on purpose.
    "{p}.about.{kind}.{op}": None,
}


@pytest.mark.parametrize("template", TEMPLATES)
async def test_a_template_that_makes_topics_of_other_tables_is_advised_against(
    make_settings: MakeSettings, database: Database, prefix: str, template: str
) -> None:
    topic = template.replace("{p}", prefix)
    database.execute(
        "create table note (id int primary key, kind text)",
        "create table orders (id int primary key)",
        "create table bills (id int primary key, state text)",
        "create table about (id int primary key, of text)",
        f"select wamp.watch('note', jsonb_build_object('topic', '{topic}'))",
        f"select wamp.watch('bills', jsonb_build_object('topic', '{prefix}.bills.paid.{{op}}'))",
        f"select wamp.watch('about', jsonb_build_object('topic', '{prefix}.about.{{of}}.{{op}}'))",
    )
    found = [f for f in await check_all(make_settings()) if "sends events to" in f.problem]
    expected = TEMPLATES[template]
    if expected is None:
        assert found == []
        return
    (finding,) = found
    assert finding.level == "advice"
    said = expected.replace("{p}", prefix)
    assert finding.problem.startswith(f'the topic "{topic}" of public.note can be {said}: ')


async def test_many_places_in_templates_take_no_time(
    make_settings: MakeSettings, database: Database, prefix: str
) -> None:
    places = ".{id}" * 40
    database.execute(
        "create table note (id int primary key)",
        "create table bill (id int primary key)",
        f"select wamp.watch('note', jsonb_build_object('topic', '{prefix}{places}.{{op}}.a'))",
        f"select wamp.watch('bill', jsonb_build_object('topic', '{prefix}{places}.{{op}}.b'))",
    )
    assert not any("topic" in f.problem for f in await check_all(make_settings()))


async def test_more_templates_than_can_be_compared_are_said(
    make_settings: MakeSettings,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topics, "MOST_SECONDS", -1.0)
    database.execute(
        "create table note (id int primary key, kind text)",
        f"select wamp.watch('note', jsonb_build_object('topic', '{prefix}.{{kind}}.{{op}}'))",
    )
    said = [f.problem for f in await check_all(make_settings())]
    assert "there are too many topics with values in them to compare all with one another" in said


async def test_a_table_on_no_topic_has_none_that_others_could_make(
    make_settings: MakeSettings, database: Database, prefix: str
) -> None:
    database.execute(
        "create table note (id int primary key, kind text)",
        "create table orders (id int primary key)",
        "create table secret (id int primary key)",
        f"select wamp.watch('note', jsonb_build_object('topic', '{prefix}.{{kind}}.{{op}}'))",
        "select wamp.watch('orders', '{\"publish\": false}')",
        "select wamp.watch('secret')",
    )
    make_settings = partial(make_settings, expose={"exclude": ["secret"]})
    assert not [f for f in await check_all(make_settings()) if "sends events to" in f.problem]
