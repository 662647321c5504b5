"""Payloads of ``wamp.publish`` that take long to read."""

from __future__ import annotations

#: Queries of args and kwargs with so many elements, or of what takes as long to read.
MANY_PARTS = {
    "elements of args": "select jsonb_agg(1), '{}'::jsonb from generate_series(1, %s)",
    "members of kwargs": "select '[]'::jsonb, jsonb_object_agg(n, 1) "
    "from generate_series(1, %s) as n",
    "both": "select jsonb_agg(1), jsonb_build_object('a', jsonb_agg(1)) "
    "from generate_series(1, %s / 2)",
    "digits": "select jsonb_agg(repeat('7', 2000)::numeric), '{}'::jsonb "
    "from generate_series(1, %s / 100)",
    "backslashes": r"select jsonb_agg(1) || jsonb_build_array(repeat(e'\n', 160 * 30000)), "
    "'{}'::jsonb from generate_series(30001, %s)",
    "escapes and long numbers": r"select jsonb_agg(e'\n\u00e9'::text) || '[18446744073709551616]', "
    "'{}'::jsonb from generate_series(1, %s)",
}
