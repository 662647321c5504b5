-- select of made: {}
SELECT t1."id" AS "id",
  t1."other" AS "other",
  t1."n" AS "n",
  CAST(t1."at" AS pg_catalog.text) AS "at",
  t1."name" AS "name",
  t1."upper_name" AS "upper_name"
FROM "public"."made" AS t1
LIMIT 1001;

-- insert of made: {"rows": {}, "returning": ["id", "upper_name"]}
INSERT INTO "public"."made" DEFAULT VALUES
RETURNING "public"."made"."id" AS "id",
  "public"."made"."upper_name" AS "upper_name";

-- insert of made: {"rows": [{"name": "a"}, {"name": "b", "n": 1}], "missing": "default", "returning": false}
WITH w1 AS (
  INSERT INTO "public"."made" ("name")
  SELECT CAST($1 AS pg_catalog.text) AS anon_1
  RETURNING 1 AS one
),
  w2 AS (
    INSERT INTO "public"."made" ("name", "n")
    SELECT CAST($2 AS pg_catalog.text) AS anon_2,
      CAST($3 AS integer) AS anon_3
    RETURNING 1 AS one
  )
SELECT pg_catalog.count(*) AS "count"
FROM (
  SELECT w1.one AS one
  FROM w1
  UNION ALL
  SELECT w2.one AS one
  FROM w2
) AS t3;
-- $1 = 'a'; $2 = 'b'; $3 = 1

-- upsert of made: {"rows": {"other": 1, "name": "a"}, "conflict": ["other"], "returning": false}
WITH w1 AS (
  INSERT INTO "public"."made" ("other", "name")
  SELECT CAST($1 AS integer) AS anon_1,
    CAST($2 AS pg_catalog.text) AS anon_2
  ON CONFLICT (other) DO UPDATE SET "name" = excluded."name"
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 1; $2 = 'a'

-- update of made: {"values": {"name": "b"}, "where": {"id": 1}, "returning": ["upper_name"]}
UPDATE "public"."made"
SET "name"=CAST($1 AS pg_catalog.text)
WHERE ("public"."made"."id" OPERATOR(pg_catalog.=) CAST($2 AS integer))
RETURNING "public"."made"."upper_name" AS "upper_name";
-- or, if its answer is small:
UPDATE "public"."made"
SET "name"=CAST($1 AS pg_catalog.text)
WHERE ("public"."made"."id" OPERATOR(pg_catalog.=) CAST($2 AS integer))
RETURNING "public"."made"."upper_name" AS "upper_name",
  CASE WHEN ((pg_catalog.octet_length(pg_catalog.concat("public"."made"."upper_name")) OPERATOR(pg_catalog.>) 8000)) THEN CAST(pg_catalog.concat(
    'a row that is measured before it is committed: ',
    pg_catalog.octet_length(pg_catalog.concat("public"."made"."upper_name"))
  ) AS boolean) END AS "small";
-- $1 = 'b'; $2 = 1
