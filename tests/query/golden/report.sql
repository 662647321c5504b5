-- select of report: {"where": {"total": {"gt": 5}}, "order": ["total.desc"], "limit": 10}
SELECT t1."customer_id" AS "customer_id",
  t1."number" AS "number",
  CAST(t1."total" AS pg_catalog.text) AS "total"
FROM "public"."report" AS t1
WHERE (t1."total" OPERATOR(pg_catalog.>) CAST(CAST($1 AS pg_catalog.text) AS numeric))
ORDER BY t1."total" DESC
LIMIT 10;
-- $1 = '5'

-- count of report: {}
SELECT pg_catalog.count(*) AS count
FROM "public"."report" AS t1;
