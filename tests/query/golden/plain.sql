-- select of orders: {}
SELECT t1."id" AS "id",
  t1."customer_id" AS "customer_id",
  t1."status" AS "status",
  CAST(t1."total" AS pg_catalog.text) AS "total",
  CAST(t1."placed_at" AS pg_catalog.text) AS "placed_at",
  CAST(t1."data" AS pg_catalog.text) AS "data"
FROM "public"."orders" AS t1
LIMIT 1001;

-- select of orders: {"columns": ["id", "sum:total", "day:placed_at::date", "data->a->>b"], "where": {"id": {"gte": 1, "not": {"in": [5, null]}}, "status": {"like": {"any": ["p%", "o%"]}, "neq": null}, "total": {"between": [1, "20.5"]}, "data": {"contains": {"a": 1}, "has_key": "b"}, "or": [{"status": "paid"}, {"status": {"imatch": "^o"}}, {"placed_at": null}]}, "order": ["placed_at.desc.nullslast", "id"], "limit": 20, "offset": 3}
SELECT t1."id" AS "id",
  CAST(t1."total" AS pg_catalog.text) AS "sum",
  CAST(CAST(t1."placed_at" AS pg_catalog.date) AS pg_catalog.text) AS "day",
  (((t1."data" OPERATOR(pg_catalog.->) CAST($1 AS pg_catalog.text))) OPERATOR(pg_catalog.->>) CAST($2 AS pg_catalog.text)) AS "b"
FROM "public"."orders" AS t1
WHERE ((t1."id" OPERATOR(pg_catalog.>=) CAST($3 AS integer)))
  AND NOT (((t1."id" OPERATOR(pg_catalog.=) ANY (CAST($4 AS integer[])))) OR (t1."id" IS NULL))
  AND ((t1."status" OPERATOR(pg_catalog.~~) ANY (CAST($5 AS pg_catalog.text[]))))
  AND NOT (t1."status" IS NULL)
  AND ((t1."total" OPERATOR(pg_catalog.>=) CAST(CAST($6 AS pg_catalog.text) AS numeric)))
  AND ((t1."total" OPERATOR(pg_catalog.<=) CAST(CAST($7 AS pg_catalog.text) AS numeric)))
  AND ((CAST(t1."data" AS pg_catalog.jsonb) OPERATOR(pg_catalog.@>) CAST(CAST($8 AS pg_catalog.text) AS pg_catalog.jsonb)))
  AND ((CAST(t1."data" AS pg_catalog.jsonb) OPERATOR(pg_catalog.?) CAST($9 AS pg_catalog.text)))
  AND (
    ((t1."status" OPERATOR(pg_catalog.=) CAST($10 AS pg_catalog.text)))
    OR ((t1."status" OPERATOR(pg_catalog.~*) CAST($11 AS pg_catalog.text)))
    OR (t1."placed_at" IS NULL)
  )
ORDER BY t1."placed_at" DESC NULLS LAST,
  t1."id" ASC
LIMIT 20
OFFSET $12;
-- $1 = 'a'; $2 = 'b'; $3 = 1; $4 = [5]; $5 = ['p%', 'o%']; $6 = '1'; $7 = '20.5'
-- $8 = '{"a": 1}'; $9 = 'b'; $10 = 'paid'; $11 = '^o'; $12 = 3

-- select of customer: {"where": {"notes": {"wfts": "cat", "fts": {"query": "a", "config": "english"}}}}
SELECT t1."id" AS "id",
  t1."name" AS "name",
  t1."country" AS "country",
  t1."notes" AS "notes"
FROM "public"."customer" AS t1
WHERE ((pg_catalog.to_tsvector(t1."notes") OPERATOR(pg_catalog.@@) pg_catalog.websearch_to_tsquery(CAST($1 AS pg_catalog.text))))
  AND ((pg_catalog.to_tsvector(CAST(CAST($2 AS pg_catalog.text) AS pg_catalog.regconfig), t1."notes") OPERATOR(pg_catalog.@@) pg_catalog.to_tsquery(CAST(CAST($2 AS pg_catalog.text) AS pg_catalog.regconfig), CAST($3 AS pg_catalog.text))))
LIMIT 1001;
-- $1 = 'cat'; $2 = 'pg_catalog.english'; $3 = 'a'

-- select of orders: {"columns": ["id"], "order": ["total"], "after": null, "limit": 7}
SELECT t1."id" AS "id",
  ARRAY[CAST(t1."total" AS pg_catalog.text),
  pg_catalog.textin("pg_catalog"."int4out"(t1."id"))] AS "key ..."
FROM "public"."orders" AS t1
ORDER BY t1."total" ASC,
  t1."id" ASC
LIMIT $1;
-- $1 = 7

-- select of orders: {"columns": ["id"], "order": ["total"], "after": ["10.50", "5"]}
SELECT t1."id" AS "id",
  ARRAY[CAST(t1."total" AS pg_catalog.text),
  pg_catalog.textin("pg_catalog"."int4out"(t1."id"))] AS "key ..."
FROM "public"."orders" AS t1
WHERE ((t1."total" OPERATOR(pg_catalog.>) CAST(CAST($1 AS pg_catalog.text) AS numeric)))
  OR t1."total" IS NOT DISTINCT FROM NULL
  OR ((t1."total" OPERATOR(pg_catalog.=) CAST(CAST($1 AS pg_catalog.text) AS numeric)))
  AND (((t1."id" OPERATOR(pg_catalog.>) CAST(CAST($2 AS pg_catalog.text) AS integer))) OR false)
ORDER BY t1."total" ASC,
  t1."id" ASC
LIMIT 1000;
-- $1 = '10.50'; $2 = '5'

-- select of orders: {"columns": ["id"], "order": ["total.desc", "id"], "after": ["10.50", "5"]}
SELECT t1."id" AS "id",
  ARRAY[CAST(t1."total" AS pg_catalog.text),
  pg_catalog.textin("pg_catalog"."int4out"(t1."id"))] AS "key ..."
FROM "public"."orders" AS t1
WHERE ((t1."total" OPERATOR(pg_catalog.<=) CAST(CAST($1 AS pg_catalog.text) AS numeric)))
  AND (
    ((t1."total" OPERATOR(pg_catalog.<) CAST(CAST($1 AS pg_catalog.text) AS numeric)))
    OR ((t1."total" OPERATOR(pg_catalog.=) CAST(CAST($1 AS pg_catalog.text) AS numeric)))
    AND (((t1."id" OPERATOR(pg_catalog.>) CAST(CAST($2 AS pg_catalog.text) AS integer))) OR false)
  )
ORDER BY t1."total" DESC,
  t1."id" ASC
LIMIT 1000;
-- $1 = '10.50'; $2 = '5'

-- select of orders: {"columns": ["id"], "count": "exact", "limit": 10}
SELECT t1."id" AS "id",
  (
    SELECT pg_catalog.count(*) AS count_1
    FROM "public"."orders" AS t2
  ) AS "count ..."
FROM "public"."orders" AS t1
LIMIT 10;

-- select of orders: {"columns": ["status", "n:count()", "total.sum()", "placed_at.min()::date"], "order": ["n.desc"]}
SELECT t1."status" AS "status",
  pg_catalog.count(*) AS "n",
  CAST(pg_catalog.sum(t1."total") AS pg_catalog.text) AS "sum",
  CAST(CAST(pg_catalog.min(t1."placed_at") AS pg_catalog.date) AS pg_catalog.text) AS "min"
FROM "public"."orders" AS t1
GROUP BY t1."status"
ORDER BY pg_catalog.count(*) DESC
LIMIT 1001;

-- select of orders: {"columns": ["id", "total"], "where": {"status": "paid"}, "format": "csv"}
SELECT pg_catalog.textin("pg_catalog"."int4out"(t1."id")) AS c0,
  CAST(t1."total" AS pg_catalog.text) AS c1
FROM "public"."orders" AS t1
WHERE (t1."status" OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.text));
-- $1 = 'paid'

-- get of orders: {"key": 1, "columns": ["id", "status"]}
SELECT t1."id" AS "id",
  t1."status" AS "status"
FROM "public"."orders" AS t1
WHERE (t1."id" OPERATOR(pg_catalog.=) CAST($1 AS integer));
-- $1 = 1

-- get of item: {"key": {"order_id": 1, "product_id": 2}}
SELECT t1."order_id" AS "order_id",
  t1."product_id" AS "product_id",
  t1."quantity" AS "quantity"
FROM "public"."item" AS t1
WHERE ((t1."order_id" OPERATOR(pg_catalog.=) CAST($1 AS integer)))
  AND ((t1."product_id" OPERATOR(pg_catalog.=) CAST($2 AS integer)));
-- $1 = 1; $2 = 2

-- count of orders: {"where": {"status": ["paid", "open"]}}
SELECT pg_catalog.count(*) AS count
FROM "public"."orders" AS t1
WHERE (t1."status" OPERATOR(pg_catalog.=) ANY (CAST($1 AS pg_catalog.text[])));
-- $1 = ['paid', 'open']

-- insert of product: {"rows": {"id": 1, "label": "a"}}
INSERT INTO "public"."product" ("id", "label")
SELECT CAST($1 AS integer) AS anon_1,
  CAST($2 AS pg_catalog.text) AS anon_2
RETURNING "public"."product"."id" AS "id",
  "public"."product"."label" AS "label";
-- or, if its answer is small:
INSERT INTO "public"."product" ("id", "label")
SELECT CAST($1 AS integer) AS anon_1,
  CAST($2 AS pg_catalog.text) AS anon_2
RETURNING "public"."product"."id" AS "id",
  "public"."product"."label" AS "label",
  CASE WHEN ((pg_catalog.octet_length(pg_catalog.concat("public"."product"."label")) OPERATOR(pg_catalog.>) 8000)) THEN CAST(pg_catalog.concat(
    'a row that is measured before it is committed: ',
    pg_catalog.octet_length(pg_catalog.concat("public"."product"."label"))
  ) AS boolean) END AS "small";
-- $1 = 1; $2 = 'a'

-- insert of product: {"rows": [{"id": 1, "label": "a"}, {"id": 2, "label": null}]}
INSERT INTO "public"."product" ("id", "label")
SELECT v."id",
  v."label"
FROM unnest(CAST($1 AS integer[]), CAST($2 AS pg_catalog.text[])) AS v("id", "label")
RETURNING "public"."product"."id" AS "id",
  "public"."product"."label" AS "label";
-- $1 = [1, 2]; $2 = ['a', None]

-- insert of customer: {"rows": {"id": 1, "name": "a"}, "returning": ["id", "name"], "include": {"country": {"columns": ["name"]}}}
WITH w1 AS (
  INSERT INTO "public"."customer" ("id", "name")
  SELECT CAST($1 AS integer) AS anon_1,
    CAST($2 AS pg_catalog.text) AS anon_2
  RETURNING "public"."customer"."id",
    "public"."customer"."name",
    "public"."customer"."country"
)
SELECT w1."id" AS "id",
  w1."name" AS "name",
  CAST((
    SELECT pg_catalog.row_to_json(r3.*) AS row_to_json_1
    FROM (
      SELECT t2."name" AS "name"
      FROM "public"."country" AS t2
      WHERE (t2."code" OPERATOR(pg_catalog.=) w1."country")
    ) AS r3
    LIMIT 1
  ) AS pg_catalog.text) AS "country"
FROM w1;
-- $1 = 1; $2 = 'a'

-- insert of product: {"csv": "id,label\n1,a\n"}
-- COPY into public.product: id, label

-- upsert of product: {"rows": {"id": 1, "label": "a"}, "returning": false}
WITH w1 AS (
  INSERT INTO "public"."product" ("id", "label")
  SELECT CAST($1 AS integer) AS anon_1,
    CAST($2 AS pg_catalog.text) AS anon_2
  ON CONFLICT (id) DO UPDATE SET "label" = excluded."label"
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 1; $2 = 'a'

-- upsert of customer: {"rows": [{"id": 1, "name": "a", "notes": "b"}], "returning": ["id"], "conflict": ["name"], "update": ["notes"]}
INSERT INTO "public"."customer" ("id", "name", "notes")
SELECT CAST($1 AS integer) AS anon_1,
  CAST($2 AS pg_catalog.text) AS anon_2,
  CAST($3 AS pg_catalog.text) AS anon_3
ON CONFLICT (name) DO UPDATE SET "notes" = excluded."notes"
RETURNING "public"."customer"."id" AS "id";
-- $1 = 1; $2 = 'a'; $3 = 'b'

-- upsert of product: {"rows": {"id": 1}, "resolution": "ignore", "returning": false}
WITH w1 AS (
  INSERT INTO "public"."product" ("id")
  SELECT CAST($1 AS integer) AS anon_1
  ON CONFLICT (id) DO NOTHING
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 1

-- upsert of product: {"csv": "id,label\n1,a\n"}
CREATE TEMPORARY TABLE pgwamp_csv AS
SELECT "public"."product"."id",
  "public"."product"."label"
FROM "public"."product" WITH NO DATA;
-- COPY into pg_temp.pgwamp_csv: id, label
INSERT INTO "public"."product" ("id", "label")
SELECT pg_temp.pgwamp_csv."id",
  pg_temp.pgwamp_csv."label"
FROM pg_temp.pgwamp_csv
ON CONFLICT (id) DO UPDATE SET "label" = excluded."label";
DROP TABLE pg_temp.pgwamp_csv;

-- update of orders: {"values": {"status": "paid", "data": {"a": 1}}, "where": {"id": 1}, "returning": false}
WITH w1 AS (
  UPDATE "public"."orders"
  SET "status"=CAST($1 AS pg_catalog.text),
    "data"=CAST(CAST($2 AS pg_catalog.text) AS pg_catalog.jsonb)
  WHERE ("public"."orders"."id" OPERATOR(pg_catalog.=) CAST($3 AS integer))
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 'paid'; $2 = '{"a": 1}'; $3 = 1

-- update of product: {"values": {"label": null}, "where": "all", "returning": ["id"]}
WITH w1 AS (
  UPDATE "public"."product"
  SET "label"=CAST($1 AS pg_catalog.text)
  WHERE true
  RETURNING "public"."product"."id"
)
SELECT w1."id" AS "id"
FROM w1
LIMIT (
  SELECT CASE WHEN ((pg_catalog.count(*) OPERATOR(pg_catalog.>) 1000)) THEN CAST(pg_catalog.concat('more rows than limits.max_rows: ', pg_catalog.count(*)) AS bigint) END AS anon_1
  FROM (
    SELECT 1 AS one
    FROM w1
    LIMIT 1001
  ) AS t1
);
-- $1 = None

-- update of product: {"rows": [{"id": 1, "label": "a"}, {"id": 2, "label": "b"}], "returning": false}
WITH w1 AS (
  UPDATE "public"."product"
  SET "label"=r."label"
  FROM (
    SELECT v."id" AS "id",
      v."label" AS "label",
      pg_catalog.count(*) OVER (PARTITION BY v."id") AS "number"
    FROM unnest(CAST($1 AS integer[]), CAST($2 AS pg_catalog.text[])) AS v("id", "label")
  ) AS r
  WHERE (("public"."product"."id" OPERATOR(pg_catalog.=) r."id"))
    AND CASE WHEN ((r."number" OPERATOR(pg_catalog.>) 1)) THEN CAST(pg_catalog.concat('two rows have the same key: ', r."number") AS boolean) ELSE true END
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = [1, 2]; $2 = ['a', 'b']

-- delete of orders: {"where": {"status": "open", "total": {"lt": 5}}, "returning": false}
WITH w1 AS (
  DELETE FROM "public"."orders"
  WHERE (("public"."orders"."status" OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.text)))
    AND (("public"."orders"."total" OPERATOR(pg_catalog.<) CAST(CAST($2 AS pg_catalog.text) AS numeric)))
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 'open'; $2 = '5'

-- delete of product: {"where": {"id": [1, 2]}, "returning": ["id"], "order": ["id.desc"]}
WITH w1 AS (
  DELETE FROM "public"."product"
  WHERE ("public"."product"."id" OPERATOR(pg_catalog.=) ANY (CAST($1 AS integer[])))
  RETURNING "public"."product"."id"
)
SELECT w1."id" AS "id"
FROM w1
ORDER BY w1."id" DESC
LIMIT (
  SELECT CASE WHEN ((pg_catalog.count(*) OPERATOR(pg_catalog.>) 1000)) THEN CAST(pg_catalog.concat('more rows than limits.max_rows: ', pg_catalog.count(*)) AS bigint) END AS anon_1
  FROM (
    SELECT 1 AS one
    FROM w1
    LIMIT 1001
  ) AS t1
);
-- $1 = [1, 2]
