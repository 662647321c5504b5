"""Whether ``wamp.evaluate``, which runs the conditions of watches, is as pgwamp makes it.

It belongs to a role without rights, whose members can alter how it runs where they may use the
schema, and cannot change its text. The text evaluates nothing once it was altered: so the text
alone decides whether the function may be called, and all of it whether it does what it should.
"""

from __future__ import annotations

import re

from pgwamp.schema_sql import source

SOURCE = source("0101/evaluate")
_, _BODY, _ = SOURCE.split("$$")
_SETTINGS = sorted(
    f"{name}={value}".replace("'", "").lower()
    for name, value in re.findall(r"^set (\w+) = (.+)$", SOURCE, re.MULTILINE)
)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


#: Of a row ``p`` of pg_proc, for a search path of ``pg_catalog, pg_temp``.
HAS_OUR_TEXT = f"""(p.prosrc = {_literal(_BODY)} and p.prokind = 'f'
    and exists (select from pg_language as l where l.oid = p.prolang and l.lanname = 'plpgsql'))"""
#: As above: whether it is the one, and the role of conditions owns it.
IS_EVALUATE = """(p.proname = 'evaluate' and p.proargtypes = '25 114'
    and pg_get_userbyid(p.proowner) = 'pgwamp_evaluator')"""
#: As above. Whoever calls it acts as its owner, for which the owner of the schema has no use.
OTHERS_MAY_CALL = """exists (
    select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
    where a.grantee not in (
        p.proowner, (select n.nspowner from pg_namespace as n where n.oid = p.pronamespace))
        and not exists (select from pg_roles as r where r.oid = a.grantee and r.rolsuper))"""
#: As above; and whether the owner of the schema may call it, and nobody else.
IS_AS_MADE = f"""({HAS_OUR_TEXT} and p.prosecdef and p.provolatile = 'v' and p.proparallel = 'u'
    and not p.proisstrict
    and array(select lower(s) collate "C" from unnest(p.proconfig) as s order by 1)
        = array[{", ".join(map(_literal, _SETTINGS))}]
    and not {OTHERS_MAY_CALL} and has_function_privilege(
        (select n.nspowner from pg_namespace as n where n.oid = p.pronamespace), p.oid, 'execute'))
"""
#: One line with the cure where it evaluates nothing, which can be so in the schema of an ordinary
#: role alone: only whoever may become the owner of the function makes it again.
EVALUATES_NOTHING = f"""
select format('the function wamp.evaluate %s, and events of tables with a condition or virtual '
    'columns come without values: run ''pgwamp db upgrade'' once as a superuser',
    case when p.oid is null then 'is missing' else 'has been altered by a member of the role '
        'pgwamp_evaluator' end)
from (values (to_regprocedure('wamp.evaluate(text, json)'))) as f (oid)
left join pg_proc as p on p.oid = f.oid
where p.oid is null or pg_get_userbyid(p.proowner) = 'pgwamp_evaluator' and not {IS_AS_MADE}
"""
