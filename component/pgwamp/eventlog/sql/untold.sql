-- In a database of which only some tables were restored, nobody has told what is watched.
select w.relation::oid::bigint as relation
from wamp.watch as w
where not exists (select from wamp.layout as k where k.relation = w.relation)
    and not exists (select from wamp.raw as r where r.relation = w.relation and r.op = 'w')
