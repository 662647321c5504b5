-- select of keyless: {"order": ["at"], "limit": 10}
SELECT CAST(t1."at" AS pg_catalog.text) AS "at",
  t1."line" AS "line"
FROM "public"."keyless" AS t1
ORDER BY t1."at" ASC
LIMIT 10;

-- insert of keyless: {"rows": {"line": "a"}, "returning": false}
WITH w1 AS (
  INSERT INTO "public"."keyless" ("line")
  SELECT CAST($1 AS pg_catalog.text) AS anon_1
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 'a'

-- update of keyless: {"values": {"line": "b"}, "where": {"line": "a"}, "returning": false}
WITH w1 AS (
  UPDATE "public"."keyless"
  SET "line"=CAST($1 AS pg_catalog.text)
  WHERE ("public"."keyless"."line" OPERATOR(pg_catalog.=) CAST($2 AS pg_catalog.text))
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 'b'; $2 = 'a'

-- delete of keyless: {"where": {"line": ["a", null]}, "returning": false}
WITH w1 AS (
  DELETE FROM "public"."keyless"
  WHERE (("public"."keyless"."line" OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.text[]))))
    OR ("public"."keyless"."line" IS NULL)
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = ['a']
