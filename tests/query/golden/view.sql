-- select of paid: {"columns": ["id"], "include": {"customer": {"columns": ["name"]}}, "order": ["id"]}
SELECT t1."id" AS "id",
  CAST((
    SELECT pg_catalog.row_to_json(r3.*) AS row_to_json_1
    FROM (
      SELECT t2."name" AS "name"
      FROM "public"."customer" AS t2
      WHERE (t2."id" OPERATOR(pg_catalog.=) t1."customer_id")
    ) AS r3
    LIMIT 1
  ) AS pg_catalog.text) AS "customer"
FROM "public"."paid" AS t1
ORDER BY t1."id" ASC
LIMIT 1001;

-- insert of paid: {"rows": {"id": 1, "status": "paid"}, "returning": ["id"]}
INSERT INTO "public"."paid" ("id", "status")
SELECT CAST($1 AS integer) AS anon_1,
  CAST($2 AS pg_catalog.text) AS anon_2
RETURNING "public"."paid"."id" AS "id";
-- $1 = 1; $2 = 'paid'

-- update of paid: {"rows": [{"id": 1, "total": 5}], "returning": false}
WITH w1 AS (
  UPDATE "public"."paid"
  SET "total"=CAST(CAST($1 AS pg_catalog.text) AS numeric)
  WHERE ("public"."paid"."id" OPERATOR(pg_catalog.=) CAST($2 AS integer))
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = '5'; $2 = 1

-- delete of paid: {"where": {"id": 1}, "returning": false}
WITH w1 AS (
  DELETE FROM "public"."paid"
  WHERE ("public"."paid"."id" OPERATOR(pg_catalog.=) CAST($1 AS integer))
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 1

-- insert of paid: {"csv": "id,status\n1,paid\n"}
CREATE TEMPORARY TABLE pgwamp_csv AS
SELECT "public"."paid"."id",
  "public"."paid"."status"
FROM "public"."paid" WITH NO DATA;
-- COPY into pg_temp.pgwamp_csv: id, status
INSERT INTO "public"."paid" ("id", "status")
SELECT pg_temp.pgwamp_csv."id",
  pg_temp.pgwamp_csv."status"
FROM pg_temp.pgwamp_csv;
DROP TABLE pg_temp.pgwamp_csv;
