"""The keys and hints that mean a relationship, and where several could be meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import Addresses
from tests.spec.cases import Case, Refusal, named
from tests.spec.conftest import Desk, desk_with

SCHEMA = """
create schema closed;
create table client (id int primary key, name text);
create table project (id int primary key, title text, client_id int references client);
insert into client values (1, 'Ann'), (2, 'Ben');
insert into project values (1, 'a', 1), (2, 'b', 1), (3, 'c', 2);
create view open_project as select id, client_id from project where id > 1;

-- Two columns of one name that refer to one table; a column called as a relation, or a constraint.
create table bill (id int primary key, payer int references client);
create table gift (id int primary key, payer int references client);
insert into bill values (1, 1);
insert into gift values (1, 2);
create table note (id int primary key, project int references client,
    bill_payer_fkey int references client);
insert into note values (1, 2, 2);
create table badge (id int primary key references client, holder int unique references client);
insert into badge values (1, 2);

-- A junction, views of it, another one, and one that is not exposed but by its views.
create table film (id int primary key, title text);
create table actor (id int primary key, name text);
create table part (
    film_id int references film, actor_id int references actor, word text,
    primary key (film_id, actor_id)
);
create table stunt (film_id int references film, actor_id int references actor,
    primary key (film_id, actor_id));
create view part_view as select * from part;
create view silent_part as select actor_id as who, film_id as what from part where word is null;
create view half_part as select actor_id from part;
create table closed.fan (a int references film, b int references actor, primary key (a, b));
create view fan as select a, b from closed.fan;
create view first_fan as select a as af, b as bf from closed.fan where a = 1;
insert into film values (1, 'f1'), (2, 'f2');
insert into actor values (1, 'a1'), (2, 'a2');
insert into part values (1, 1, null), (1, 2, 'yes');
insert into stunt values (2, 1);
insert into closed.fan values (1, 2), (2, 1);

-- Keys of more than one column, through views that rename and reorder them.
create table site (cc text, nr int, label text, primary key (cc, nr));
create table visit (id int primary key, site_cc text, site_nr int,
    foreign key (site_cc, site_nr) references site);
insert into site values ('DE', 1, 'x'), ('FR', 2, 'y');
insert into visit values (1, 'DE', 1), (2, 'FR', 2), (3, 'FR', null);
create view site_view as select cc as c, nr as n, label from site;
create view visit_view as select site_nr as sn, id as vid, site_cc as sc from visit;
create view visit_half as select id, site_cc from visit;
"""


@pytest.fixture(scope="module")
def desk(addresses: Addresses) -> Iterator[Desk]:
    with desk_with(addresses, SCHEMA) as opened:
        yield opened


def to(relation: str, key: str, *expected: Any, columns: str = "id", by: str = "id") -> Case:
    """The related rows, by one column, of each row of a relation."""
    include = {f"r:{key}": {"columns": [columns], "order": [columns]}}
    kwargs = {"columns": [], "order": [by], "include": include}
    return Case(f"{relation}.select", kwargs, [{"r": rows} for rows in expected])


def ids(*numbers: int) -> list[dict[str, int]]:
    return [{"id": number} for number in numbers]


CASES = [
    # The foreign key's column names it from both sides.
    to("client", "client_id", ids(1, 2), ids(3)),
    to("project", "client_id", *ids(1, 1, 2)),
    to("client", "client_id!open_project", ids(2), ids(3)),
    to("client", "holder", None, {"id": 1}),
    to("client", "id", {"id": 1}, None),
    Case("client.select", {"columns": ["id"], "where": {"client_id": {"title": "c"}}}, ids(2)),
    Case("client.select", {"columns": ["id"], "order": ["holder(id)"]}, ids(2, 1)),
    Case("client.get", {"key": 2, "columns": ["name"], "include": {"client_id": {}}},
         {"name": "Ben", "client_id": [{"id": 3, "title": "c", "client_id": 2}]}),
    # Relations and constraints of that name come before it.
    to("client", "project", ids(1, 2), ids(3)),
    to("client", "note!project", [], ids(1)),
    to("client", "bill_payer_fkey", ids(1), []),
    to("client", "payer!gift", [], ids(1)),
    # The referenced column as a hint.
    to("project", "client!id", *ids(1, 1, 2)),
    to("client", "project!id", ids(1, 2), ids(3)),
    to("badge", "client!id", {"id": 1}),
    to("client", "badge!id", {"id": 1}, None),
    # A view of a junction: its rows alone link.
    to("film", "actor!part", ids(1, 2), []),
    to("film", "actor!part_view", ids(1, 2), []),
    to("film", "actor!silent_part", ids(1), []),
    to("actor", "film!silent_part", ids(1), []),
    to("film", "actor!stunt", [], ids(1)),
    to("film", "actor!fan", ids(2), ids(1)),
    to("film", "actor!first_fan", ids(2), []),
    Case("film.select", {"columns": ["id"], "where": {"actor!silent_part": {"name": "a2"}}}, []),
    # Groups lead on by the columns that group them.
    Case("project.select", {"columns": ["client_id", "count()"], "order": ["client_id"],
                            "include": {"client": {"columns": ["name"]}}},
         [{"client_id": 1, "count": 2, "client": {"name": "Ann"}},
          {"client_id": 2, "count": 1, "client": {"name": "Ben"}}]),
    Case("project.select", {"columns": ["by:client_id", "n:count()"],
                            "order": ["client(name).desc"], "include": {
            "client_id": {"columns": ["name"], "spread": True}}},
         [{"by": 2, "n": 1, "name": "Ben"}, {"by": 1, "n": 2, "name": "Ann"}]),
    Case("project.select", {"columns": ["client_id", "count()"], "include": {
            "client": {"columns": ["name"], "where": {"name": "Ben"}, "inner": True}}},
         [{"client_id": 2, "count": 1, "client": {"name": "Ben"}}]),
    Case("client.select", {"columns": ["id", "n:count()"], "order": ["id"], "include": {
            "project": {"columns": ["client_id", "count()"], "include": {
                "c:client_id": {"columns": ["name"]}}}}},
         [{"id": 1, "n": 1, "project": [{"client_id": 1, "count": 2, "c": {"name": "Ann"}}]},
          {"id": 2, "n": 1, "project": [{"client_id": 2, "count": 1, "c": {"name": "Ben"}}]}]),
    Case("film.select", {"columns": ["id", "count()"], "where": {"id": 1},
                         "include": {"actor!part": {"columns": ["name"], "order": ["name"]}}},
         [{"id": 1, "count": 1, "actor": [{"name": "a1"}, {"name": "a2"}]}]),
    Case("visit.select", {"columns": ["site_cc", "site_nr", "n:count()"], "where": {"id": 1},
                          "include": {"site": {"columns": ["label"]}}},
         [{"site_cc": "DE", "site_nr": 1, "n": 1, "site": {"label": "x"}}]),
    # Keys of two columns.
    to("visit", "site_view", *({"label": v} if v else None for v in ("x", "y", None)),
        columns="label"),
    to("visit_view", "site", *({"label": v} if v else None for v in ("x", "y", None)),
        columns="label", by="vid"),
    to("visit_view", "site_view", *({"label": v} if v else None for v in ("x", "y", None)),
        columns="label", by="vid"),
    to("site_view", "visit_view", [{"vid": 1}], [{"vid": 2}], columns="vid", by="c"),
    to("site_view", "visit", ids(1), ids(2), by="c"),
    to("site", "visit_site_cc_site_nr_fkey", ids(1), ids(2), by="cc"),
    Case("visit_view.select", {"columns": ["vid"], "where": {"site_view": {"n": 2}}},
         [{"vid": 2}]),
]  # fmt: skip
REFUSED = [
    Refusal("client.select", {"include": {"payer": {}}}, "include.payer",
            "say which: bill!payer, gift!payer"),
    Refusal("film.select", {"include": {"actor": {}}}, "include.actor",
            "say which: actor!fan, actor!part, actor!stunt"),
    Refusal("film.select", {"include": {"actor!half_part": {}}}, "include.actor!half_part",
            "actor!fan, actor!first_fan, actor!part, actor!part_view, actor!silent_part"),
    Refusal("project.select", {"columns": ["count()"], "include": {"client": {}}},
            "include.client", "lead on only by the columns that group them"),
    Refusal("project.select", {"columns": ["c:client_id::text", "count()"],
                               "include": {"client": {}}}, "include.client", "lead on only"),
    Refusal("visit.select", {"columns": ["site_cc", "count()"], "include": {"site": {}}},
            "include.site", "lead on only"),
    Refusal("project.select", {"columns": ["count()"], "order": ["client(name)"]}, "order[0]",
            "only by what is in columns"),
    Refusal("visit_half.select", {"include": {"site": {}}}, "include.site", "no relationship"),
]  # fmt: skip


@pytest.mark.parametrize("case", [*CASES, *REFUSED], ids=named)
def test_a_key_means_one_relationship(desk: Desk, case: Case | Refusal) -> None:
    desk.check(case)
