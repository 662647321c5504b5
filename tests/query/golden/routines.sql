-- call of add: {"a": 1}
SELECT "public"."add"("a" => CAST($1 AS integer)) AS value;
-- $1 = 1

-- call of found: {"low": 5, "words": ["a"], "columns": ["id", "total"], "where": {"status": "paid"}, "include": {"customer": {"columns": ["name"]}}, "order": ["id"], "limit": 5}
SELECT t1."id" AS "id",
  CAST(t1."total" AS pg_catalog.text) AS "total",
  CAST((
    SELECT pg_catalog.row_to_json(r3.*) AS row_to_json_1
    FROM (
      SELECT t2."name" AS "name"
      FROM "public"."customer" AS t2
      WHERE (t2."id" OPERATOR(pg_catalog.=) t1."customer_id")
    ) AS r3
    LIMIT 1
  ) AS pg_catalog.text) AS "customer"
FROM "public"."found"(
  "low" => CAST(CAST($1 AS pg_catalog.text) AS numeric),
  VARIADIC "words" => CAST(CAST($2 AS pg_catalog.text) AS pg_catalog.text[])
) AS t1
WHERE (t1."status" OPERATOR(pg_catalog.=) CAST($3 AS pg_catalog.text))
ORDER BY t1."id" ASC
LIMIT 5;
-- $1 = '5'; $2 = '{"a"}'; $3 = 'paid'

-- call of found: {"low": 5, "words": [], "columns": ["id"], "count": "exact"}
WITH f2 AS (
  SELECT t1."id" AS "id",
    t1."customer_id" AS "customer_id",
    t1."status" AS "status",
    t1."total" AS "total",
    t1."placed_at" AS "placed_at",
    t1."data" AS "data"
  FROM "public"."found"(
    "low" => CAST(CAST($1 AS pg_catalog.text) AS numeric),
    VARIADIC "words" => CAST(CAST($2 AS pg_catalog.text) AS pg_catalog.text[])
  ) AS t1
)
SELECT r3."id",
  r3."found ...",
  n4."count ..."
FROM (
  SELECT pg_catalog.count(*) AS "count ..."
  FROM f2
) AS n4
LEFT OUTER JOIN (
  SELECT f2."id" AS "id",
    true AS "found ..."
  FROM f2
  LIMIT 1001
) AS r3 ON true;
-- $1 = '5'; $2 = '{}'

-- call of pairs: {"n": 2}
SELECT t1."k" AS "k",
  t1."v" AS "v"
FROM "public"."pairs"("n" => CAST($1 AS integer)) AS t1
LIMIT 1001;
-- $1 = 2

-- call of overloaded: {"a": 1}
SELECT "public"."overloaded"("a" => CAST($1 AS integer)) AS value;
-- $1 = 1

-- call of overloaded: {"b": "x"}
SELECT "public"."overloaded"("b" => CAST($1 AS pg_catalog.text)) AS value;
-- $1 = 'x'

-- call of renumber: {"by": 1, "done": null}
CALL "public"."renumber"("by" => CAST($1 AS integer), "done" => CAST($2 AS integer));
-- $1 = 1; $2 = None
