-- select of form: {}
SELECT t1."id" AS "id",
  t1."big" AS "big",
  t1."float" AS "float",
  CAST(t1."exact" AS pg_catalog.text) AS "exact",
  t1."yes" AS "yes",
  t1."word" AS "word",
  t1."bytes" AS "bytes",
  CAST(t1."plain" AS pg_catalog.text) AS "plain",
  CAST(t1."doc" AS pg_catalog.text) AS "doc",
  CAST(t1."at" AS pg_catalog.text) AS "at",
  CAST(t1."day" AS pg_catalog.text) AS "day",
  pg_catalog.textin("pg_catalog"."enum_out"(CAST(t1."feeling" AS public.mood))) AS "feeling",
  CAST("public"."color_json"(t1."shade") AS pg_catalog.text) AS "shade",
  CAST(pg_catalog.to_json(t1."tags") AS pg_catalog.text) AS "tags",
  pg_catalog.textin("pg_catalog"."record_out"(t1."place")) AS "place",
  pg_catalog.textin("pg_catalog"."range_out"(t1."span")) AS "span",
  pg_catalog.textin("pg_catalog"."multirange_out"(t1."spans")) AS "spans",
  (
    SELECT CASE WHEN pg_catalog.set_config('search_path', "own 1".path, true) IS NOT NULL THEN "own 2".written END
    FROM (
      SELECT pg_catalog.current_setting('search_path') AS path,
        t1."kind" AS given
      OFFSET 0
    ) AS "own 1"
    CROSS JOIN LATERAL (
      SELECT pg_catalog.textin("pg_catalog"."regclassout"(CASE WHEN pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true) IS NOT NULL THEN "own 1".given END)) AS written
      OFFSET 0
    ) AS "own 2"
  ) AS "kind",
  CAST(t1."price" AS pg_catalog.text) AS "price"
FROM "public"."form" AS t1
LIMIT 1001;

-- select of form, bigint = "string": {"columns": ["big", "big.sum()"]}
SELECT CAST(t1."big" AS pg_catalog.text) AS "big",
  CAST(pg_catalog.sum(t1."big") AS pg_catalog.text) AS "sum"
FROM "public"."form" AS t1
GROUP BY t1."big"
LIMIT 1001;

-- select of form: {"columns": ["id"], "where": {"big": {"gt": "9007199254740993"}, "float": {"lte": 1.5}, "exact": "10.25", "yes": {"is": true}, "word": {"ilike": "a%"}, "bytes": "b'\\x00'", "plain": {"contains": {"a": 1}}, "doc": {"contained_by": {"b": [2]}}, "doc->b->0": 2, "at": {"gte": "2026-01-01T00:00:00Z"}, "day": {"isdistinct": "2026-01-02"}, "feeling": {"in": ["sad", "ok"]}, "shade": "#0000ff", "tags": {"overlaps": ["x"]}, "tags->0": "x", "place->label": "l", "place": {"eq": {"x": 1, "label": "l"}}, "span": {"contains": 3}, "spans": {"adjacent": "[1,3)"}, "kind": "customer", "price": {"gt": "1.00"}}}
SELECT t1."id" AS "id"
FROM "public"."form" AS t1
WHERE ((t1."big" OPERATOR(pg_catalog.>) CAST($1 AS bigint)))
  AND ((t1."float" OPERATOR(pg_catalog.<=) CAST($2 AS double precision)))
  AND ((t1."exact" OPERATOR(pg_catalog.=) CAST(CAST($3 AS pg_catalog.text) AS numeric)))
  AND t1."yes" IS true
  AND ((t1."word" OPERATOR(pg_catalog.~~*) CAST($4 AS pg_catalog.text)))
  AND ((t1."bytes" OPERATOR(pg_catalog.=) CAST($5 AS pg_catalog.bytea)))
  AND ((CAST(t1."plain" AS pg_catalog.jsonb) OPERATOR(pg_catalog.@>) CAST(CAST($6 AS pg_catalog.text) AS pg_catalog.jsonb)))
  AND ((CAST(t1."doc" AS pg_catalog.jsonb) OPERATOR(pg_catalog.<@) CAST(CAST($7 AS pg_catalog.text) AS pg_catalog.jsonb)))
  AND ((CAST((((t1."doc" OPERATOR(pg_catalog.->) CAST($8 AS pg_catalog.text))) OPERATOR(pg_catalog.->) CAST($9 AS integer)) AS pg_catalog.jsonb) OPERATOR(pg_catalog.=) CAST(CAST($10 AS pg_catalog.text) AS pg_catalog.jsonb)))
  AND ((t1."at" OPERATOR(pg_catalog.>=) CAST(CAST($11 AS pg_catalog.text) AS timestamp with time zone)))
  AND ((t1."day" OPERATOR(pg_catalog.=) CAST(CAST($12 AS pg_catalog.text) AS pg_catalog.date))) IS NOT true
  AND ((t1."feeling" OPERATOR(pg_catalog.=) ANY (CAST(CAST($13 AS pg_catalog.text[]) AS public.mood[]))))
  AND ((t1."shade" OPERATOR(pg_catalog.=) "public"."text_color"(CAST($14 AS pg_catalog.text))))
  AND ((t1."tags" OPERATOR(pg_catalog.&&) CAST(CAST($15 AS pg_catalog.text) AS pg_catalog.text[])))
  AND (((t1."tags")[$16] OPERATOR(pg_catalog.=) CAST($17 AS pg_catalog.text)))
  AND ((((t1."place") . "label") OPERATOR(pg_catalog.=) CAST($18 AS pg_catalog.text)))
  AND ((t1."place" OPERATOR(pg_catalog.=) CAST(CAST($19 AS pg_catalog.text) AS public.spot)))
  AND ((t1."span" OPERATOR(pg_catalog.@>) CAST($20 AS integer)))
  AND ((t1."spans" OPERATOR(pg_catalog.-|-) CAST(CAST($21 AS pg_catalog.text) AS pg_catalog.int4multirange)))
  AND ((t1."kind" OPERATOR(pg_catalog.=) pg_catalog.regclassin(pg_catalog.textout(CAST($22 AS pg_catalog.text)))))
  AND ((t1."price" OPERATOR(pg_catalog.>) CASE WHEN ((CAST($23 AS pg_catalog.text) OPERATOR(pg_catalog.~) '^[-+]?[0-9]+([.][0-9]+)?$')) THEN CAST(CAST(CAST($23 AS pg_catalog.text) AS numeric) AS pg_catalog.money) ELSE CAST(CAST($23 AS pg_catalog.text) AS pg_catalog.money) END))
LIMIT 1001;
-- $1 = 9007199254740993; $2 = 1.5; $3 = '10.25'; $4 = 'a%'; $5 = b'\x00'; $6 = '{"a": 1}'
-- $7 = '{"b": [2]}'; $8 = 'b'; $9 = 0; $10 = '2'; $11 = '2026-01-01T00:00:00Z'
-- $12 = '2026-01-02'; $13 = ['sad', 'ok']; $14 = '#0000ff'; $15 = '{"x"}'; $16 = 1; $17 = 'x'
-- $18 = 'l'; $19 = '("1","l")'; $20 = 3; $21 = '[1,3)'; $22 = 'customer'; $23 = '1.00'

-- select of form: {"columns": ["id"], "order": ["shade", "at.desc", "tags"], "after": null, "limit": 5}
SELECT t1."id" AS "id",
  ARRAY[pg_catalog.textin("pg_catalog"."int4out"(t1."shade")),
  CAST(t1."at" AS pg_catalog.text),
  pg_catalog.textin("pg_catalog"."array_out"(t1."tags")),
  pg_catalog.textin("pg_catalog"."int4out"(t1."id"))] AS "key ..."
FROM "public"."form" AS t1
ORDER BY t1."shade" ASC,
  t1."at" DESC,
  t1."tags" ASC,
  t1."id" ASC
LIMIT 5;

-- select of form: {"columns": ["big.max()", "float.avg()", "exact.sum()", "yes.bool_and()", "day.min()", "mood:feeling.max()", "cost:price.sum()"]}
SELECT pg_catalog.max(t1."big") AS "max",
  pg_catalog.avg(t1."float") AS "avg",
  CAST(pg_catalog.sum(t1."exact") AS pg_catalog.text) AS "sum",
  pg_catalog.bool_and(t1."yes") AS "bool_and",
  CAST(pg_catalog.min(t1."day") AS pg_catalog.text) AS "min",
  pg_catalog.textin("pg_catalog"."enum_out"(CAST(pg_catalog.max(t1."feeling") AS public.mood))) AS "mood",
  CAST(pg_catalog.sum(t1."price") AS pg_catalog.text) AS "cost"
FROM "public"."form" AS t1
LIMIT 1001;

-- select of form: {"format": "csv"}
SELECT pg_catalog.textin("pg_catalog"."int4out"(t1."id")) AS c0,
  pg_catalog.textin("pg_catalog"."int8out"(t1."big")) AS c1,
  pg_catalog.textin("pg_catalog"."float8out"(t1."float")) AS c2,
  CAST(t1."exact" AS pg_catalog.text) AS c3,
  pg_catalog.textin("pg_catalog"."boolout"(t1."yes")) AS c4,
  pg_catalog.textin("pg_catalog"."textout"(t1."word")) AS c5,
  pg_catalog.textin("pg_catalog"."byteaout"(t1."bytes")) AS c6,
  pg_catalog.textin("pg_catalog"."json_out"(t1."plain")) AS c7,
  pg_catalog.textin("pg_catalog"."jsonb_out"(t1."doc")) AS c8,
  CAST(t1."at" AS pg_catalog.text) AS c9,
  CAST(t1."day" AS pg_catalog.text) AS c10,
  pg_catalog.textin("pg_catalog"."enum_out"(CAST(t1."feeling" AS public.mood))) AS c11,
  pg_catalog.textin("pg_catalog"."int4out"(t1."shade")) AS c12,
  pg_catalog.textin("pg_catalog"."array_out"(t1."tags")) AS c13,
  pg_catalog.textin("pg_catalog"."record_out"(t1."place")) AS c14,
  pg_catalog.textin("pg_catalog"."range_out"(t1."span")) AS c15,
  pg_catalog.textin("pg_catalog"."multirange_out"(t1."spans")) AS c16,
  (
    SELECT CASE WHEN pg_catalog.set_config('search_path', "own 1".path, true) IS NOT NULL THEN "own 2".written END
    FROM (
      SELECT pg_catalog.current_setting('search_path') AS path,
        t1."kind" AS given
      OFFSET 0
    ) AS "own 1"
    CROSS JOIN LATERAL (
      SELECT pg_catalog.textin("pg_catalog"."regclassout"(CASE WHEN pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true) IS NOT NULL THEN "own 1".given END)) AS written
      OFFSET 0
    ) AS "own 2"
  ) AS c17,
  CAST(t1."price" AS pg_catalog.text) AS c18
FROM "public"."form" AS t1;

-- insert of form: {"rows": {"id": 1, "big": "9007199254740993", "float": 1.5, "exact": "10.250", "yes": true, "word": "a", "bytes": "b'\\x00\\x01'", "plain": {"a": 1}, "doc": {"b": [2]}, "at": "2026-01-02T03:04:05Z", "day": "2026-01-02", "feeling": "ok", "shade": "#0000ff", "tags": ["x", null], "place": {"x": 1, "label": "l"}, "span": "[1,5)", "spans": "{[1,3),[5,7)}", "kind": "customer", "price": "1.00"}, "returning": false}
WITH w1 AS (
  INSERT INTO "public"."form" (
    "id",
    "big",
    "float",
    "exact",
    "yes",
    "word",
    "bytes",
    "plain",
    "doc",
    "at",
    "day",
    "feeling",
    "shade",
    "tags",
    "place",
    "span",
    "spans",
    "kind",
    "price"
  )
  SELECT CAST($1 AS integer) AS anon_1,
    CAST($2 AS bigint) AS anon_2,
    CAST($3 AS double precision) AS anon_3,
    CAST(CAST($4 AS pg_catalog.text) AS numeric) AS anon_4,
    CAST($5 AS boolean) AS anon_5,
    CAST($6 AS pg_catalog.text) AS anon_6,
    CAST($7 AS pg_catalog.bytea) AS anon_7,
    CAST(CAST($8 AS pg_catalog.text) AS pg_catalog.json) AS anon_8,
    CAST(CAST($9 AS pg_catalog.text) AS pg_catalog.jsonb) AS anon_9,
    CAST(CAST($10 AS pg_catalog.text) AS timestamp with time zone) AS anon_10,
    CAST(CAST($11 AS pg_catalog.text) AS pg_catalog.date) AS anon_11,
    CAST(CAST($12 AS pg_catalog.text) AS public.mood) AS anon_12,
    "public"."json_color"(CAST(CAST($13 AS pg_catalog.text) AS pg_catalog.json)) AS json_color_1,
    CAST(CAST($14 AS pg_catalog.text) AS pg_catalog.text[]) AS anon_13,
    CAST(CAST($15 AS pg_catalog.text) AS public.spot) AS anon_14,
    CAST(CAST($16 AS pg_catalog.text) AS pg_catalog.int4range) AS anon_15,
    CAST(CAST($17 AS pg_catalog.text) AS pg_catalog.int4multirange) AS anon_16,
    pg_catalog.regclassin(pg_catalog.textout(CAST($18 AS pg_catalog.text))) AS regclassin_1,
    CASE WHEN ((CAST($19 AS pg_catalog.text) OPERATOR(pg_catalog.~) '^[-+]?[0-9]+([.][0-9]+)?$')) THEN CAST(CAST(CAST($19 AS pg_catalog.text) AS numeric) AS pg_catalog.money) ELSE CAST(CAST($19 AS pg_catalog.text) AS pg_catalog.money) END AS anon_17
  RETURNING 1 AS one
)
SELECT pg_catalog.count(*) AS "count"
FROM w1;
-- $1 = 1; $2 = 9007199254740993; $3 = 1.5; $4 = '10.250'; $5 = True; $6 = 'a'
-- $7 = b'\x00\x01'; $8 = '{"a": 1}'; $9 = '{"b": [2]}'; $10 = '2026-01-02T03:04:05Z'
-- $11 = '2026-01-02'; $12 = 'ok'; $13 = '"#0000ff"'; $14 = '{"x",NULL}'; $15 = '("1","l")'
-- $16 = '[1,5)'; $17 = '{[1,3),[5,7)}'; $18 = 'customer'; $19 = '1.00'

-- update of form: {"rows": [{"id": 1, "shade": "#0000ff", "tags": ["y"], "place": null}], "returning": ["shade", "tags", "place"]}
UPDATE "public"."form"
SET "shade"="public"."json_color"(CAST(CAST($1 AS pg_catalog.text) AS pg_catalog.json)),
  "tags"=CAST(CAST($2 AS pg_catalog.text) AS pg_catalog.text[]),
  "place"=CAST(CAST($3 AS pg_catalog.text) AS public.spot)
WHERE ("public"."form"."id" OPERATOR(pg_catalog.=) CAST($4 AS integer))
RETURNING CAST("public"."color_json"("public"."form"."shade") AS pg_catalog.text) AS "shade",
  CAST(pg_catalog.to_json("public"."form"."tags") AS pg_catalog.text) AS "tags",
  pg_catalog.textin("pg_catalog"."record_out"("public"."form"."place")) AS "place";
-- $1 = '"#0000ff"'; $2 = '{"y"}'; $3 = None; $4 = 1
