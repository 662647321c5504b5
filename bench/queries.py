"""The SQL of those who write it by hand."""

from __future__ import annotations

#: What is asked of the three levels, by hand.
ARTISTS_SQL = """
select coalesce(json_agg(r), '[]')::text from (
    select a.id, a.name, (
        select coalesce(json_agg(b), '[]') from (
            select al.id, al.title, (
                select coalesce(json_agg(t), '[]') from (
                    select tr.id, tr.name, tr.milliseconds from track as tr
                    where tr.album_id = al.id order by tr.id
                ) as t
            ) as track
            from album as al where al.artist_id = a.id order by al.id
        ) as b
    ) as album
    from artist as a where a.id >= $1 order by a.id limit 10
) as r
"""
ITEM_COLUMNS = "id, name, kind, quantity, price::text, active, created::text, note"
INSERT_SQL = """
insert into entry (name, quantity, price, created)
select * from unnest($1::text[], $2::int[], $3::text[]::numeric[], $4::text[]::timestamptz[])
"""
