-- select of parted: {"where": {"day": {"gte": "2026-01-01"}}, "order": ["day"], "after": null, "limit": 5}
SELECT t1."id" AS "id",
  CAST(t1."day" AS pg_catalog.text) AS "day",
  t1."name" AS "name",
  ARRAY[CAST(t1."day" AS pg_catalog.text),
  pg_catalog.textin("pg_catalog"."int4out"(t1."id"))] AS "key ..."
FROM "public"."parted" AS t1
WHERE (t1."day" OPERATOR(pg_catalog.>=) CAST(CAST($1 AS pg_catalog.text) AS pg_catalog.date))
ORDER BY t1."day" ASC,
  t1."id" ASC
LIMIT 5;
-- $1 = '2026-01-01'

-- insert of parted: {"rows": {"id": 1, "day": "2026-01-02"}, "returning": false}
WITH w1 AS (
  INSERT INTO "public"."parted" ("id", "day")
  SELECT CAST($1 AS integer) AS anon_1,
    CAST(CAST($2 AS pg_catalog.text) AS pg_catalog.date) AS anon_2
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 1; $2 = '2026-01-02'

-- upsert of parted: {"rows": {"id": 1, "day": "2026-01-02", "name": "a"}, "returning": false}
WITH w1 AS (
  INSERT INTO "public"."parted" ("id", "day", "name")
  SELECT CAST($1 AS integer) AS anon_1,
    CAST(CAST($2 AS pg_catalog.text) AS pg_catalog.date) AS anon_2,
    CAST($3 AS pg_catalog.text) AS anon_3
  ON CONFLICT (id, day) DO UPDATE SET "name" = excluded."name"
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 1; $2 = '2026-01-02'; $3 = 'a'

-- update of parted: {"values": {"name": "b"}, "where": {"id": 1}, "returning": false}
WITH w1 AS (
  UPDATE "public"."parted"
  SET "name"=CAST($1 AS pg_catalog.text)
  WHERE ("public"."parted"."id" OPERATOR(pg_catalog.=) CAST($2 AS integer))
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 'b'; $2 = 1

-- delete of parted: {"where": {"day": "2026-01-02"}, "returning": false}
WITH w1 AS (
  DELETE FROM "public"."parted"
  WHERE ("public"."parted"."day" OPERATOR(pg_catalog.=) CAST(CAST($1 AS pg_catalog.text) AS pg_catalog.date))
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = '2026-01-02'
