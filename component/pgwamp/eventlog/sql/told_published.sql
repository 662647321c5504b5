-- When wamp.publish was called whose events of transaction $1 are at the end of the log: it tells that of a call. The
-- marker of an era can stand between them.
select e.at
from wamp.log as e
where e.op = 'publish' and e.xid = $1::text::xid8 and e.position > coalesce((
    select b.position
    from wamp.log as b
    where b.xid <> $1::text::xid8 and b.op <> 'era'
    order by b.position desc
    limit 1), 0)
