"""A database that nobody here wrote, served with environment variables alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.conftest import Addresses, Connect, Events
from tests.processes import Pgwamp, run_pgwamp
from tests.servers import execute

CHINOOK = Path(__file__).parents[3] / "shared" / "data" / "chinook.sql"

pytestmark = pytest.mark.skipif(
    not CHINOOK.exists(), reason="the Chinook database does not lie beside this checkout"
)


@pytest.fixture
def chinook(addresses: Addresses, prefix: str) -> Iterator[str]:
    name = "chinook_" + prefix.rpartition(".")[2]
    admin = addresses.database("postgres")
    execute(admin, f"create database {name}")
    url = addresses.database(name)
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(CHINOOK.read_text())
    connection.close()
    yield url
    execute(admin, f"drop database {name} with (force)")


async def test_chinook_is_read_written_and_watched(
    chinook: str,
    addresses: Addresses,
    prefix: str,
    connect: Connect,
    events: Events,
    tmp_path: Path,
) -> None:
    environment = {
        "DATABASE_URL": chinook,
        "PGWAMP_ROUTER__URL": addresses.component,
        "PGWAMP_EXPOSE__SCHEMAS": '["public"]',
        "PGWAMP_EXPOSE__PREFIX": prefix,
    }
    for command in (("db", "upgrade"), ("watch", "add", "track")):
        code, _, err = await run_pgwamp(*command, environment=environment, folder=tmp_path)
        assert code == 0, err
    component = Pgwamp("run", environment=environment, folder=tmp_path)
    await component.start()
    try:
        client = await connect("json")
        watcher = await connect("msgpack")
        await watcher.subscribe(f"{prefix}.track.", events, "prefix")

        albums = await client.call(
            f"{prefix}.album.select",
            [{"title": {"ilike": "%rock%"}, "artist_id": {"lt": 60}}],
            {"columns": ["album_id", "title"], "order": ["title"], "limit": 2},
        )
        assert [a["title"] for a in albums] == sorted(a["title"] for a in albums)
        assert len(albums) == 2
        long_tracks = await client.call(
            f"{prefix}.track.count",
            [{"or": [{"milliseconds": {"gte": 5_000_000}}, {"composer": None}]}],
        )
        assert long_tracks == await client.call(
            f"{prefix}.track.count",
            [{"not": {"milliseconds": {"lt": 5_000_000}, "not": {"composer": None}}}],
        )
        invoices = await client.call(
            f"{prefix}.invoice.select",
            [{"total": {"between": ["20.00", 30]}, "billing_country": ["Hungary", "Ireland"]}],
            {"order": "invoice_id"},
        )
        assert [i["total"] for i in invoices] == ["21.86", "21.86"]
        assert invoices[0]["invoice_date"].startswith("20")

        track = {
            "track_id": 9001,
            "name": "Čas 🎵",
            "media_type_id": 1,
            "milliseconds": 1000,
            "unit_price": "1.25",
        }
        (inserted,) = await client.call(f"{prefix}.track.insert", [track])
        assert inserted["unit_price"] == "1.25"
        assert inserted["composer"] is None
        (updated,) = await client.call(
            f"{prefix}.track.update", [{"composer": "me"}, {"track_id": 9001}]
        )
        assert updated["composer"] == "me"
        (merged,) = await client.call(
            f"{prefix}.track.upsert", [{**track, "name": "again", "unit_price": 2}]
        )
        assert (merged["name"], merged["composer"]) == ("again", "me")
        assert await client.call(
            f"{prefix}.track.delete", [{"track_id": 9001}], {"returning": False}
        ) == 1  # fmt: skip

        received = await events.count(4)
        assert [e["op"] for e in received] == ["insert", "update", "update", "delete"]
        assert {e["key"]["track_id"] for e in received} == {9001}
        assert received[0]["new"] == inserted
        assert received[1]["new"] == updated
        assert received[2]["changed"] == ["name", "unit_price"]
        assert received[3]["old"] == merged
    finally:
        assert await component.stop() == 0, component.output
