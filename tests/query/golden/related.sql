-- select of orders: {"columns": ["id"], "include": {"customer": {"columns": ["name"]}}}
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
FROM "public"."orders" AS t1
LIMIT 1001;

-- select of customer: {"columns": ["id"], "include": {"orders": {"columns": ["id", "total"], "where": {"status": "paid"}, "order": ["id.desc"], "limit": 2}}}
SELECT t1."id" AS "id",
  CAST((
    SELECT coalesce(pg_catalog.json_agg(r3.*), CAST('[]' AS pg_catalog.json)) AS coalesce_1
    FROM (
      SELECT t2."id" AS "id",
        CAST(t2."total" AS pg_catalog.text) AS "total"
      FROM "public"."orders" AS t2
      WHERE ((t2."customer_id" OPERATOR(pg_catalog.=) t1."id"))
        AND ((t2."status" OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.text)))
      ORDER BY t2."id" DESC
      LIMIT 2
    ) AS r3
  ) AS pg_catalog.text) AS "orders"
FROM "public"."customer" AS t1
LIMIT 1001;
-- $1 = 'paid'

-- select of orders: {"columns": ["id"], "include": {"product": {"columns": ["label"]}}}
SELECT t1."id" AS "id",
  CAST((
    SELECT coalesce(pg_catalog.json_agg(r4.*), CAST('[]' AS pg_catalog.json)) AS coalesce_1
    FROM (
      SELECT t2."label" AS "label"
      FROM "public"."product" AS t2
      WHERE EXISTS (
        SELECT 1
        FROM "public"."item" AS t3
        WHERE ((t3."order_id" OPERATOR(pg_catalog.=) t1."id"))
          AND ((t3."product_id" OPERATOR(pg_catalog.=) t2."id"))
      )
      LIMIT 1001
    ) AS r4
  ) AS pg_catalog.text) AS "product"
FROM "public"."orders" AS t1
LIMIT 1001;

-- select of country: {"columns": ["code"], "include": {"customer": {"columns": ["name"], "include": {"orders": {"columns": ["id"], "include": {"item": {"columns": ["quantity"]}}}}}}}
SELECT t1."code" AS "code",
  CAST((
    SELECT coalesce(pg_catalog.json_agg(s11.j), CAST('[]' AS pg_catalog.json)) AS coalesce_1
    FROM (
      SELECT m10.j AS j,
        pg_catalog.sum(pg_catalog.octet_length(CAST(m10.j AS pg_catalog.text))) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS total
      FROM (
        SELECT pg_catalog.row_to_json(r9.*) AS j
        FROM (
          SELECT t2."name" AS "name",
            (
              SELECT coalesce(pg_catalog.json_agg(s8.j), CAST('[]' AS pg_catalog.json)) AS coalesce_2
              FROM (
                SELECT m7.j AS j,
                  pg_catalog.sum(pg_catalog.octet_length(CAST(m7.j AS pg_catalog.text))) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS total
                FROM (
                  SELECT pg_catalog.row_to_json(r6.*) AS j
                  FROM (
                    SELECT t3."id" AS "id",
                      (
                        SELECT coalesce(pg_catalog.json_agg(r5.*), CAST('[]' AS pg_catalog.json)) AS coalesce_3
                        FROM (
                          SELECT t4."quantity" AS "quantity"
                          FROM "public"."item" AS t4
                          WHERE (t4."order_id" OPERATOR(pg_catalog.=) t3."id")
                          LIMIT 1001
                        ) AS r5
                      ) AS "item"
                    FROM "public"."orders" AS t3
                    WHERE (t3."customer_id" OPERATOR(pg_catalog.=) t2."id")
                    LIMIT 1001
                  ) AS r6
                  LIMIT ALL
                  OFFSET 0
                ) AS m7
              ) AS s8
              WHERE (pg_catalog.repeat('x', CASE WHEN ((s8.total OPERATOR(pg_catalog.>) 15000000)) THEN 2147483647 ELSE 0 END) OPERATOR(pg_catalog.=) '')
            ) AS "orders"
          FROM "public"."customer" AS t2
          WHERE (t2."country" OPERATOR(pg_catalog.=) t1."code")
          LIMIT 1001
        ) AS r9
        LIMIT ALL
        OFFSET 0
      ) AS m10
    ) AS s11
    WHERE (pg_catalog.repeat('x', CASE WHEN ((s11.total OPERATOR(pg_catalog.>) 15000000)) THEN 2147483647 ELSE 0 END) OPERATOR(pg_catalog.=) '')
  ) AS pg_catalog.text) AS "customer"
FROM "public"."country" AS t1
LIMIT 1001;

-- select of customer: {"columns": ["id"], "include": {"orders": {"columns": ["id"], "where": {"status": "paid"}, "inner": true}}}
SELECT t1."id" AS "id",
  CAST((
    SELECT coalesce(pg_catalog.json_agg(r4.*), CAST('[]' AS pg_catalog.json)) AS coalesce_1
    FROM (
      SELECT t3."id" AS "id"
      FROM "public"."orders" AS t3
      WHERE ((t3."customer_id" OPERATOR(pg_catalog.=) t1."id"))
        AND ((t3."status" OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.text)))
      LIMIT 1001
    ) AS r4
  ) AS pg_catalog.text) AS "orders"
FROM "public"."customer" AS t1
WHERE EXISTS (
  SELECT 1
  FROM "public"."orders" AS t2
  WHERE ((t2."customer_id" OPERATOR(pg_catalog.=) t1."id"))
    AND ((t2."status" OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.text)))
)
LIMIT 1001;
-- $1 = 'paid'

-- select of orders: {"columns": ["id"], "include": {"customer": {"columns": ["name"], "spread": true}}}
SELECT t1."id" AS "id",
  CAST((
    SELECT pg_catalog.row_to_json(r3.*) AS row_to_json_1
    FROM (
      SELECT t2."name" AS "name"
      FROM "public"."customer" AS t2
      WHERE (t2."id" OPERATOR(pg_catalog.=) t1."customer_id")
    ) AS r3
    LIMIT 1
  ) AS pg_catalog.text) AS "spread 0 ..."
FROM "public"."orders" AS t1
LIMIT 1001;

-- select of customer: {"columns": ["id"], "include": {"orders": {"columns": ["total.sum()", "count()"]}}}
SELECT t1."id" AS "id",
  CAST((
    SELECT coalesce(pg_catalog.json_agg(r3.*), CAST('[]' AS pg_catalog.json)) AS coalesce_1
    FROM (
      SELECT CAST(pg_catalog.sum(t2."total") AS pg_catalog.text) AS "sum",
        pg_catalog.count(*) AS "count"
      FROM "public"."orders" AS t2
      WHERE (t2."customer_id" OPERATOR(pg_catalog.=) t1."id")
      LIMIT 1001
    ) AS r3
  ) AS pg_catalog.text) AS "orders"
FROM "public"."customer" AS t1
LIMIT 1001;

-- select of orders: {"columns": ["id"], "where": {"customer": {"country": "SE"}, "item": null}, "order": ["customer(name).desc"]}
SELECT t1."id" AS "id"
FROM "public"."orders" AS t1
WHERE (EXISTS (
  SELECT 1
  FROM "public"."customer" AS t2
  WHERE ((t2."id" OPERATOR(pg_catalog.=) t1."customer_id"))
    AND ((t2."country" OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.text)))
))
  AND NOT (EXISTS (
    SELECT 1
    FROM "public"."item" AS t3
    WHERE ((t3."order_id" OPERATOR(pg_catalog.=) t1."id"))
      AND true
  ))
ORDER BY (
  SELECT t4."name"
  FROM "public"."customer" AS t4
  WHERE (t4."id" OPERATOR(pg_catalog.=) t1."customer_id")
  LIMIT 1
) DESC
LIMIT 1001;
-- $1 = 'SE'
