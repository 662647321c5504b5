-- Erase what is kept of a table's changes: wamp.forget('orders'). Its events keep their positions, so that
-- the cursors of others stay good, and have no values. Raw rows that no events were made of yet are erased
-- too. For members of the owner of the schema wamp.
create or replace function wamp.forget(relation regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    members constant regclass[] := array(
        select forget.relation union select p.relid from pg_partition_tree(forget.relation) as p);
begin
    update wamp.raw as r set op = '-', old = null, new = null
    where r.relation = any (members) and r.op in ('i', 'u', 'd');
    update wamp.log as e set op = 'forgotten', topic = null, options = null, body = null, silent = true
    where e.relation = forget.relation and e.op <> 'forgotten';
    -- Again, in order: the sequencer may have read the raw rows before.
    perform wamp.note(relation, 'f', null);
end
$$;
