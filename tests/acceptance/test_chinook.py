"""A database that nobody here wrote, served with environment variables alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def _environment(url: str, addresses: Addresses, prefix: str) -> dict[str, str]:
    return {
        "DATABASE_URL": url,
        "PGWAMP_ROUTER__URL": addresses.component,
        "PGWAMP_EXPOSE__SCHEMAS": '["public"]',
        "PGWAMP_EXPOSE__PREFIX": prefix,
    }


def _statements(addresses: Addresses) -> list[str]:
    """What the statement log holds, one entry each."""
    return Path(addresses.log).read_text(errors="replace").split("LOG:  execute ")


async def test_chinook_is_read_written_and_watched(
    chinook: str,
    addresses: Addresses,
    prefix: str,
    connect: Connect,
    events: Events,
    tmp_path: Path,
) -> None:
    environment = _environment(chinook, addresses, prefix)
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


async def test_three_levels_come_with_one_statement(
    chinook: str, addresses: Addresses, prefix: str, connect: Connect, tmp_path: Path
) -> None:
    environment = _environment(chinook, addresses, prefix)
    code, _, err = await run_pgwamp("db", "upgrade", environment=environment, folder=tmp_path)
    assert code == 0, err
    execute(chinook, f"alter database {chinook.rpartition('/')[2]} set log_statement = 'all'")
    component = Pgwamp("run", environment=environment, folder=tmp_path)
    await component.start()
    try:
        client = await connect()

        async def select(relation: str, where: Any, **rest: Any) -> list[dict[str, Any]]:
            return await client.call(f"{prefix}.{relation}.select", [where], rest)

        before = _statements(addresses)
        artists = await select(
            "artist",
            {"name": {"like": {"any": ["A%", "L%"]}}, "album": {}},
            order=["name.desc"],
            limit=20,
            include={
                "album": {
                    "columns": ["title"],
                    "where": {"title": {"not": {"ilike": "%live%"}}},
                    "order": ["title"],
                    "include": {
                        "track": {
                            "columns": ["name", "milliseconds", "unit_price"],
                            "where": {"milliseconds": {"gt": 200_000}},
                            "order": ["milliseconds.desc", "track_id"],
                            "limit": 3,
                            "include": {"genre": {"columns": ["name"]}, "media_type": {}},
                        }
                    },
                }
            },
        )
        # The publisher polls meanwhile; the statements of calls name their tables in quotes.
        (statement,) = [s for s in _statements(addresses)[len(before) :] if '"public".' in s]
        for table in ("artist", "album", "track", "genre", "media_type"):
            assert f'"public"."{table}"' in statement

        expected = await select(
            "artist",
            {"name": {"match": "^(A|L)"}},
            order=["name.desc"],
            columns=["artist_id", "name"],
        )
        albums = await select("album", {"title": {"not": {"ilike": "%live%"}}}, order=["title"])
        having = {a["artist_id"] for a in await select("album", {}, columns=["artist_id"])}
        tracks = []
        for low in range(0, 4000, 1000):
            tracks += await select(
                "track",
                {"milliseconds": {"gt": 200_000}, "track_id": {"between": [low, low + 999]}},
            )
        tracks.sort(key=lambda track: (-track["milliseconds"], track["track_id"]))
        genres = {g["genre_id"]: {"name": g["name"]} for g in await select("genre", {})}
        media = {m["media_type_id"]: m for m in await select("media_type", {})}
        expected = [artist for artist in expected if artist["artist_id"] in having][:20]
        for artist in expected:
            artist["album"] = [
                {
                    "title": album["title"],
                    "track": [
                        {
                            **{k: track[k] for k in ("name", "milliseconds", "unit_price")},
                            "genre": genres.get(track["genre_id"]),
                            "media_type": media[track["media_type_id"]],
                        }
                        for track in tracks
                        if track["album_id"] == album["album_id"]
                    ][:3],
                }
                for album in albums
                if album["artist_id"] == artist["artist_id"]
            ]
        assert artists == expected
        assert sum(len(al["track"]) for ar in artists for al in ar["album"]) > 50

        (boss,) = await select(
            "employee",
            {"employee_id": 1},
            columns=["last_name"],
            include={
                "employee!reports_to": {
                    "columns": ["last_name"],
                    "order": ["last_name"],
                    "include": {"boss:reports_to": {"columns": ["last_name"]}},
                }
            },
        )
        assert boss == {
            "last_name": "Adams",
            "employee": [
                {"last_name": name, "boss": {"last_name": "Adams"}}
                for name in ("Edwards", "Mitchell")
            ],
        }
        (playlist,) = await select(
            "playlist", {"playlist_id": 18}, include={"track": {"columns": ["count()"]}}
        )
        assert playlist["track"] == [{"count": 1}]
    finally:
        assert await component.stop() == 0, component.output
