"""``describe`` as Markdown: complete, ordered, and nothing breaks out."""

from __future__ import annotations

from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pgwamp.component import describe_database
from pgwamp.describe.markdown import markdown
from pgwamp.describe.typescript import typescript
from pgwamp.settings import Settings
from tests.describe.conftest import COLUMNS, NASTY, TABLE
from tests.processes import run_pgwamp

pytestmark = pytest.mark.one_login


def parse(page: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page)


def shown(token: Token) -> str:
    """What a reader sees of an inline token: no markup but code."""
    parts = []
    for child in token.children or []:
        assert child.type in {"text", "text_special", "softbreak", "code_inline", "html_inline"}
        if child.type == "html_inline":
            assert child.content in {"<code>", "</code>"}
        else:
            parts.append(" " if child.type == "softbreak" else child.content)
    return "".join(parts)


def headings(tokens: list[Token]) -> list[str]:
    return [shown(tokens[i + 1]) for i, t in enumerate(tokens) if t.type == "heading_open"]


def tables(tokens: list[Token]) -> list[list[list[str]]]:
    """Each table as rows of cells."""
    found: list[list[list[str]]] = []
    for index, token in enumerate(tokens):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            found[-1][-1].append(shown(tokens[index + 1]))
    return found


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
async def api(shop: Settings) -> Any:
    return await describe_database(shop)


async def test_every_procedure_has_one_heading_in_order(api: Any) -> None:
    found = [h for h in headings(parse(markdown(api))) if h.startswith(api["prefix"])]
    uris = [entry["uri"] for entry in api["procedures"]]
    assert [h for h in found if h in uris] == uris
    relations = {uri.rpartition(".")[0] for uri in uris if uri.endswith(".select")}
    assert set(found) - set(uris) == {api["prefix"], *relations}


async def test_rows_arguments_and_topics_are_tables(api: Any) -> None:
    page = markdown(api)
    found = tables(parse(page))
    assert ["price", "string (numeric)", "In euro."] in [row for table in found for row in table]
    arguments = ["sku", "string", "required", ""]
    assert arguments in [row for table in found for row in table]
    # One without a name goes by position.
    assert ["$1", "integer or string", "required, by position", ""] in [r for t in found for r in t]
    topics = {row[0]: row[1] for row in found[-1][1:]}
    assert topics[f"{api['prefix']}.orders.updated"] == "a row of public.orders was updated"
    assert topics[f"{api['prefix']}.of.{{who}}.deleted"] == "rows of public.parcels were deleted"
    assert topics[f"{api['prefix']}.parcels.truncated"] == "public.parcels was emptied"
    assert len(topics) == len(api["topics"])
    assert "Answers: list of rows" in page


async def test_nasty_names_and_comments_are_shown_as_written(api: Any) -> None:
    tokens = parse(markdown(api))
    # A fence, a script or a heading of the comments would be a token of its own.
    assert not {t.type for t in tokens} & {
        "fence",
        "code_block",
        "html_block",
        "hr",
        "list_item_open",
    }
    path = f"{api['prefix']}.{TABLE}"
    (columns,) = [t for t in tables(tokens) if [row[0] for row in t[1:5]][2:3] == ["at"]]
    rows = {row[0]: row for row in columns[1:]}
    for name in COLUMNS:
        seen = name if name.isprintable() else name.replace("\n", r"\n")
        assert rows[seen][1] == "string or null"
        assert one_line(rows[seen][2]) == one_line(NASTY)
    assert rows["feeling"][1] == '"*/" or "so \'so\'" or "a|b" or "`" or null'
    assert all(len(row) == len(table[0]) for table in tables(tokens) for row in table)
    assert path in headings(tokens)
    paragraphs = [shown(t) for t in tokens if t.type == "inline"]
    assert one_line(NASTY.partition("\n\n")[0]) in paragraphs


async def test_the_page_is_the_same_however_the_server_orders_things(api: Any) -> None:
    turned = {**api, "topics": list(reversed(api["topics"]))}
    assert markdown(turned) == markdown(api)


async def test_the_command_prints_it(shop: Settings) -> None:
    environment = {
        "DATABASE_URL": shop.database.url.get_secret_value(),
        "PGWAMP_EXPOSE__PREFIX": shop.expose.prefix,
    }
    api = await describe_database(shop)
    for form, expected in (("markdown", markdown(api)), ("typescript", typescript(api))):
        code, out, err = await run_pgwamp(
            "describe", "--format", form, environment=environment, folder=shop.folder
        )
        assert (code, err) == (0, "")
        assert out == expected


async def test_a_live_query_says_what_it_follows(api: Any) -> None:
    page = [shown(token) for token in parse(markdown(api)) if token.type == "inline"]
    said = [line.partition("has changed. ")[2] for line in page if line.startswith("Sends ")]
    assert said == [
        "Followed: public.products.",
        "Followed: public.orders. Not followed: public.customers, public.order_items.",
        "Followed: public.orders. Not followed: public.customers, public.order_items.",
    ]
