-- select of na.me'd "x" y: {}
SELECT t1."the.id" AS "the.id",
  t1."say ""hi"" to" AS "say ""hi"" to",
  CAST(t1."it's" AS pg_catalog.text) AS "it's",
  t1."Upper" AS "Upper",
  t1."select" AS "select"
FROM "o""dd.schema"."na.me'd ""x"" y" AS t1
LIMIT 1001;

-- select of na.me'd "x" y: {"columns": ["the.id", "a:say \"hi\" to", "b:it's->\"k'e\\\"y\""], "where": {"Upper": 1, "select": {"gt": 2}}, "order": ["say \"hi\" to.desc"]}
SELECT t1."the.id" AS "the.id",
  t1."say ""hi"" to" AS "a",
  CAST((t1."it's" OPERATOR(pg_catalog.->) CAST($1 AS pg_catalog.text)) AS pg_catalog.text) AS "b"
FROM "o""dd.schema"."na.me'd ""x"" y" AS t1
WHERE ((t1."Upper" OPERATOR(pg_catalog.=) CAST($2 AS integer)))
  AND ((t1."select" OPERATOR(pg_catalog.>) CAST($3 AS integer)))
ORDER BY t1."say ""hi"" to" DESC
LIMIT 1001;
-- $1 = 'k\'e"y'; $2 = 1; $3 = 2

-- upsert of na.me'd "x" y: {"rows": {"the.id": 1, "say \"hi\" to": "a"}, "returning": false}
WITH w1 AS (
  INSERT INTO "o""dd.schema"."na.me'd ""x"" y" ("the.id", "say ""hi"" to")
  SELECT CAST($1 AS integer) AS anon_1,
    CAST($2 AS pg_catalog.text) AS anon_2
  ON CONFLICT ("the.id") DO UPDATE SET "say ""hi"" to" = excluded."say ""hi"" to"
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 1; $2 = 'a'
