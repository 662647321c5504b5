-- In a database of which only some tables were restored, nobody has told what is watched.
select wamp.note(
    w.relation, 'w',
    wamp.layout(w.relation) || jsonb_build_object(
        'options', w.options, 'watch', w.id, 'snapshot', pg_current_snapshot()::text))
from wamp.watch as w
join pg_class as c on c.oid = w.relation
where not exists (select from wamp.layout as k where k.relation = w.relation)
    and not exists (select from wamp.raw as r where r.relation = w.relation and r.op = 'w')
