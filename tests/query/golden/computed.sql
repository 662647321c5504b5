-- select of customer: {"columns": ["*", "shout"], "where": {"shout": "A"}, "order": ["shout"]}
SELECT t1."id" AS "id",
  t1."name" AS "name",
  t1."country" AS "country",
  t1."notes" AS "notes",
  "public"."shout"(t1.*) AS "shout"
FROM "public"."customer" AS t1
WHERE ("public"."shout"(t1.*) OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.text))
ORDER BY "public"."shout"(t1.*) ASC
LIMIT 1001;
-- $1 = 'A'

-- select of customer: {"columns": ["id"], "include": {"orders_of": {"columns": ["id"]}}}
SELECT t1."id" AS "id",
  CAST((
    SELECT coalesce(pg_catalog.json_agg(r3.*), CAST('[]' AS pg_catalog.json)) AS coalesce_1
    FROM (
      SELECT t2."id" AS "id"
      FROM "public"."orders_of"(t1.*) AS t2
      LIMIT 1001
    ) AS r3
  ) AS pg_catalog.text) AS "orders_of"
FROM "public"."customer" AS t1
LIMIT 1001;
