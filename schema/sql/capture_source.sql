-- The body of the function that captures the changes of a table; see define_capture.
--
-- One INSERT ... SELECT writes the events of all rows of a statement. Old and new rows of an UPDATE
-- are paired by position: PostgreSQL appends both to their transition tables at the same moment, so
-- that also an update of the key has its old row beside the new one. Only when a row moves to
-- another partition, and a trigger there refuses it, are there more old rows than new ones: then all
-- count as deleted and inserted.
--
-- A row is in sight of those whom its topic and its eligibility name, if its condition (when) holds.
-- One that comes into sight is inserted, one that goes out of sight is deleted, whatever the
-- statement was: whoever folds the events has the rows that they may see.
--
-- Most statements change one row. Its event is made first and then written, so that what catches
-- errors writes nothing: otherwise each statement would take a second transaction id, and after 64 of
-- them a transaction would slow down everybody who takes a snapshot. It is at hand for a publisher who
-- sleeps, too. The events of more rows, which no variable would hold, are written as they are made.
--
-- Nothing that goes wrong here (half a gigabyte of text, a column that is no longer there) fails the
-- write: the events then carry keys only, and if that fails too, one event says that something
-- changed. Their size marks them as truncated.
create or replace function wamp.capture_source(relation regclass, options jsonb) returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $generator$
declare
    -- In octets; no router takes more, so that more is not even written to the outbox.
    bound constant int := 16777216;
    key_columns constant text[] := coalesce(wamp.key_columns(relation), '{}');
    -- Without a key, only the former row says which it was.
    old_form constant text := case when key_columns = '{}' then 'full'
        else coalesce(options ->> 'old', 'changed') end;
    columns constant text[] := array(select jsonb_array_elements_text(options -> 'columns'));
    eligible constant boolean := options ?| '{eligible_authid,eligible_authrole}';
    retained constant text := case when (options ->> 'retain')::boolean then '{"retain": true}' end;
    measured constant text :=
        'coalesce(pg_column_size(e.new), 0)::bigint + coalesce(pg_column_size(e.old), 0) as size) as s';
    unmeasured constant text := '2147483647 as size) as s';
    single constant text := 'select clock_timestamp(), case when not exists (select from %I offset 1) '
        'then %s end, %s, %s, %s, %s into its_moment, its_concern, its_topic, its_options, its_key, '
        'its_changed, its_new, its_old from %s limit 1';
    new_rows constant text := wamp.rows_source(relation, 'new_rows');
    old_rows constant text := wamp.rows_source(relation, 'old_rows');
    shown text := 'row_to_json(r.*)';
    deleted text;
    compared text;
    key text := 'null::json';
    topic text := 'null::text';
    event_options text := 'null::jsonb';
    audience text;
    condition text;
    visible constant text := coalesce('(' || (options ->> 'when') || ') is true', 'true');
    side text;
    numbered text;
    alike text;
    same text;
    difference text;
    head text;
    head_by_name text;
    tail text;
    insertion text;
    deletion text;
    published text;
    pairing text;
    modification text;
    correction text;
    single_insertion text;
    single_deletion text;
    single_modification text;
begin
    if columns <> '{}' then
        shown := wamp.row_source(relation, columns);
    end if;
    deleted := case when old_form in ('changed', 'full') then shown else 'null::json' end;
    if key_columns <> '{}' then
        key := (
            select format('json_build_object(%s)',
                string_agg(format('%L, r.%I', c, c), ', ' order by position))
            from unnest(key_columns) with ordinality as k (c, position));
    end if;
    if options ? 'topic' then
        topic := (
            select string_agg(
                case when m[1] is null then format('%L', m[2])
                    when m[1] = 'op' then '''{op}'''
                    else format('wamp.uri_part(r.%I::text)', m[1]) end,
                ' || ' order by position)
            from regexp_matches(options ->> 'topic', '\{([^{}]+)\}|([^{}]+)', 'g')
                with ordinality as t (m, position));
    end if;
    if eligible or (options ->> 'retain')::boolean then
        event_options := (
            select format('jsonb_build_object(%s)', string_agg(format('%L, %s', o.key,
                case when o.key = 'retain' then 'true'
                    when t.typcategory = 'A' then format('to_jsonb(array('
                        'select u.who from unnest(r.%I::text[]) as u (who) where u.who is not null))', o.value)
                    else format('to_jsonb(array_remove(array[r.%I::text], null))', o.value)
                    end), ', '))
            from jsonb_each_text(options) as o
            left join (pg_attribute as a join pg_type as t on t.oid = a.atttypid)
                on a.attrelid = relation and a.attname = o.value and o.key like 'eligible%'
            where o.key like 'eligible%' or o.key = 'retain' and o.value = 'true');
    end if;

    -- Whatever depends on the columns of a row is computed beside nothing but that row.
    audience := format(' as topic, %s as options, %s as key', event_options, key);
    condition := ' as r' || coalesce(' where (' || (options ->> 'when') || ') is true', '');
    side := format('%s, %s as visible, %s as shown', audience, visible, shown);
    if columns = '{}' then
        compared := 'shown';
    else
        side := side || format(', %s as compared', wamp.row_source(relation, columns || key_columns));
        compared := 'compared';
    end if;
    numbered := 'select row_number() over () as position, ' || topic || side;

    head := format(
        'insert into wamp.event (slot, deferred, relation_schema, relation, op, topic, options, key, '
        'changed, new, old, size) '
        'select its_slot, its_delay, its_schema, its_name, e.op, %s, e.options, e.key, e.changed, '
        'case when size <= %s then e.new end, case when size <= %2$s then e.old end, size from ',
        case when options ? 'topic' then 'replace(e.topic, ''{op}'', rtrim(e.op, ''e'') || ''ed'')'
            else 'null' end,
        bound);
    head_by_name := replace(head, 'its_slot, its_delay, its_schema, its_name', '$1, $2, $3, $4');
    insertion := '(select ''insert'' as op, ' || topic || audience || ', null::text[] as changed, '
        'null::json as old, ';
    deletion := '(select ''delete'' as op, ' || topic || audience || ', null::text[] as changed, '
        'null::json as new, ';
    -- The fence (offset 0) keeps the JSON from being made once for each time it is named.
    tail := condition || ' offset 0) as e, lateral (select ';

    -- Both rows are of one type, so that their members come in the same order.
    difference := format(
        'select %s as old, coalesce(array_agg(c.name), ''{}'') as changed '
        'from rows from (json_each(o.%s), json_each(n.%2$s)) as c (name, was, same_name, is_now) '
        'where c.was::text is distinct from c.is_now::text and c.name is not null',
        case old_form
            when 'full' then '(select o.' || compared || ')'
            when 'changed' then 'coalesce(json_object_agg(c.name, c.was), ''{}'')'
            when 'key' then format('coalesce(json_object_agg(c.name, c.was) '
                'filter (where c.name = any (%L::text[])), ''{}'')', key_columns)
            else 'null::json' end,
        compared);
    -- Keys that change hands within a statement (1 to 2, 2 to 3) are deleted first, and then inserted:
    -- then there are fewer different keys than rows and changed keys together.
    alike := case when eligible or options ? 'topic' then
        'n.topic is not distinct from o.topic and n.options is not distinct from o.options and ' else '' end;
    same := alike || '(n.key::text is not distinct from o.key::text'
        || case when old_form = 'none' then ')' else 
        ' or (select count(*) from (select key::text from n union select key::text from o) as k) '
        '= (select count(*) + count(*) filter (where n.key::text <> o.key::text) '
        'from n full join o on o.position = n.position))' end;
    published := case when columns = '{}' then 'true' else 'd.changed <> ''{}''' end;
    pairing := head || format(
        '(select n.position, p.* from n full join o on o.position = n.position '
        'cross join lateral (%1$s) as d '
        'cross join lateral ('
        'select 1 as part, ''update'' as op, n.topic, n.options, n.key, n.shown as new, d.old, '
        'd.changed where n.visible and o.visible and %2$s and %3$s '
        'union all select 2, ''delete'', o.topic, o.options, o.key, null, %4$s, null '
        'where o.visible and not (n.visible is true and %2$s) '
        'union all select 3, ''insert'', n.topic, n.options, n.key, n.shown, null, null '
        'where n.visible and not (o.visible is true and %2$s)'
        ') as p offset 0) as e, lateral (select %5$s '
        'order by part <> 2, position, part',
        difference, same, published,
        case when old_form in ('changed', 'full') then 'o.shown' else 'null::json' end, measured);
    modification := format(
        'with n as materialized (%s from %s as r), o as materialized (%1$s from %3$s as r) ',
        numbered, new_rows, old_rows) || pairing;

    -- The same of a single row: null is for more rows, for none, and for what takes two events. It is
    -- asked for without an error, which some settings do not let anybody catch.
    single_insertion := format(single, 'new_rows', visible, replace(topic, '{op}', 'inserted') || audience,
        'null::text[]', shown, 'null::json', new_rows || ' as r');
    single_deletion := format(single, 'old_rows', visible, replace(topic, '{op}', 'deleted') || audience,
        'null::text[]', 'null::json', deleted, old_rows || ' as r');
    single_modification := format(single, 'new_rows',
        'case when not exists (select from old_rows offset 1) then '
        'case when n.visible and o.visible and ' || alike
        || case when old_form = 'none' then 'n.key::text = o.key::text' else 'true' end
        || ' then ' || published || ' when not (n.visible or o.visible) then false end end',
        'n.topic, n.options, n.key', 'd.changed', 'n.shown', 'd.old',
        format('(select %s from %s as r limit 1) as n, (select %1$s from %3$s as r limit 1) as o, '
            'lateral (%4$s) as d',
            replace(topic, '{op}', 'updated') || side, new_rows, old_rows, difference));
    -- What a trigger has written to the rows it was fired for comes before these, which are no longer
    -- what they say: from them to the rows as they are now is a further change.
    correction := case when key_columns = '{}' then 'select' else format(
        'with n as materialized (%1$s from (select * from {table} where (%2$s) in (select %2$s from '
        '{rows})) as r), o as materialized (%1$s from {rows_read} as r {none}) ',
        replace(numbered, 'row_number() over ()', '(' || key || ')::text'),
        (select string_agg(quote_ident(c), ', ') from unnest(key_columns) as c))
        || replace(replace(pairing, head, head_by_name),
            'and ' || published || ' union', 'and d.changed <> ''{}'' union') end;

    -- The full joins keep the planner, which may have planned for a statement of one row, from
    -- joining in a nested loop.
    return format($body$
#variable_conflict use_column
declare
    its_slot smallint;
    its_channel text;
    -- Of the table whose partition this is, or else null.
    its_table oid;
    its_schema text;
    its_name text;
    -- The event of a single row.
    its_concern boolean;
    its_moment timestamptz;
    its_topic text;
    its_options jsonb;
    its_key json;
    its_changed text[];
    its_new json;
    its_old json;
    its_text text;
begin
    select slot, channel into its_slot, its_channel from wamp.retention;
    if tg_nargs = 2 then
        select c.oid, n.nspname, c.relname into its_table, its_schema, its_name
        from pg_partition_ancestors(tg_relid) as a
        join pg_trigger as t on t.tgrelid = a.relid and t.tgname = 'wamp_insert' and t.tgnargs = 1
        join pg_class as c on c.oid = a.relid
        join pg_namespace as n on n.oid = c.relnamespace;
        -- It was detached: its rows are no longer those of the table.
        if not found then
            return null;
        end if;
    end if;
    if pg_trigger_depth() = 1 then
        begin
            if tg_op = 'INSERT' then
                %14$s;
            elsif tg_op = 'UPDATE' then
                %15$s;
            elsif tg_op = 'DELETE' then
                %16$s;
            end if;
        exception when others then
            -- It fails below again, and is told there.
            its_concern := null;
        end;
    end if;
    -- Whatever is nested, also what the condition itself has written, goes the longer way.
    if its_concern and coalesce(current_setting('wamp.nested', true), '') = ''
        and coalesce(pg_column_size(its_new), 0)::bigint + coalesce(pg_column_size(its_old), 0) <= %17$s
    then
        insert into wamp.event (slot, created_at, deferred, relation_schema, relation, op, topic, options,
            key, changed, new, old, size)
        values (its_slot, its_moment, nullif(current_setting('synchronous_commit') = 'off', false),
            coalesce(its_schema, tg_table_schema), coalesce(its_name, tg_table_name), lower(tg_op collate "C"),
            its_topic, its_options, its_key, its_changed, its_new, its_old,
            coalesce(pg_column_size(its_new), 0) + coalesce(pg_column_size(its_old), 0));
        -- As wamp.wake, which tells why. A PERFORM would take three times as long as an assignment.
        if (case when pg_try_advisory_lock_shared(20599, 3) then pg_advisory_unlock_shared(20599, 3) end)
            is null
        then
            if coalesce(pg_column_size(its_new), 0) + coalesce(pg_column_size(its_old), 0)
                    + coalesce(pg_column_size(its_key), 0) + coalesce(pg_column_size(its_options), 0) < 8000
                and current_setting('wamp.announced', true) is distinct from pg_current_xact_id()::text
                and current_setting('synchronous_commit') <> 'off'
                and current_setting('transaction_isolation') = 'read committed'
            then
                its_text := format('%%s' || repeat(e'\x1f%%s', 14), currval('wamp.event_id_seq'),
                    pg_current_xact_id(), to_json(its_moment at time zone 'UTC'),
                    coalesce(its_schema, tg_table_schema), coalesce(its_name, tg_table_name),
                    lower(tg_op collate "C"), its_topic, its_options, to_json(its_changed), null, null,
                    its_key, its_new, its_old, pg_current_snapshot());
            end if;
            if octet_length(its_text) < 8000 and pg_notification_queue_usage() <= 0.5 then
                its_concern := pg_notify(its_channel, its_text) is null;
                its_text := set_config('wamp.announced', pg_current_xact_id()::text, true);
            else
                perform wamp.wake(null, null);
            end if;
        end if;
        return null;
    elsif not its_concern and coalesce(current_setting('wamp.nested', true), '') = '' then
        return null;
    end if;
    declare
        -- Null and not false: most events then take no room for it.
        its_delay boolean := nullif(current_setting('synchronous_commit') = 'off', false);
        its_problem text;
        its_number bigint := 0;
        its_further_number bigint := 0;
        its_corrections bigint := 0;
    begin
        its_table := coalesce(its_table, tg_relid);
        its_schema := coalesce(its_schema, tg_table_schema);
        its_name := coalesce(its_name, tg_table_name);
        begin
            if tg_op = 'INSERT' then
                %1$s;
            elsif tg_op = 'DELETE' then
                %2$s;
            elsif tg_op = 'UPDATE' then
                if (select count(*) from old_rows) = (select count(*) from new_rows) then
                    %3$s;
                else
                    %2$s;
                    get diagnostics its_further_number = row_count;
                    %1$s;
                end if;
            elsif tg_when = 'AFTER' then
                perform set_config('wamp.truncating', '', true);
                insert into wamp.event (slot, deferred, relation_schema, relation, op, options, size)
                values (its_slot, its_delay, its_schema, its_name, 'truncate', %4$L, 0);
            elsif tg_nargs = 1 then
                perform set_config('wamp.truncating', tg_relid::text, true);
            elsif current_setting('wamp.truncating', true) is distinct from its_table::text then
                -- Of one partition alone: the table has other rows, so these are deleted.
                execute %5$L || tg_relid::regclass || %6$L using its_slot, its_delay, its_schema, its_name;
            end if;
            get diagnostics its_number = row_count;
            if tg_op <> 'TRUNCATE'
                and nullif(current_setting('wamp.nested_' || its_table, true), '')::int > pg_trigger_depth()
            then
                execute replace(case tg_op when 'DELETE' then %13$L else %12$L end,
                    '{table}', its_table::regclass::text) using its_slot, its_delay, its_schema, its_name;
                get diagnostics its_corrections = row_count;
                its_further_number := its_further_number + its_corrections;
            end if;
            if pg_trigger_depth() > 1 then
                perform set_config('wamp.nested', 'true', true);
                perform set_config('wamp.nested_' || its_table, pg_trigger_depth()::text, true);
            end if;
        exception when others then
            get stacked diagnostics its_problem = message_text;
            its_further_number := -1;
            raise warning 'pgwamp publishes a change of %% without its values: %%',
                tg_relid::regclass, its_problem;
            begin
                -- Perhaps a column has another name now; the next statement will find it. One writer sees
                -- to that: others would wait for the end of its transaction.
                if sqlstate like '42%%' and pg_try_advisory_xact_lock(20599, its_table::int) then
                    perform wamp.redefine_capture(its_table);
                end if;
            exception when others then
                null;
            end;
            begin
                if tg_op in ('UPDATE', 'DELETE') then
                    %7$s;
                end if;
                if tg_op in ('UPDATE', 'INSERT') then
                    %8$s;
                end if;
                if tg_when = 'BEFORE' then
                    execute %9$L || tg_relid::regclass || %10$L using its_slot, its_delay, its_schema, its_name;
                end if;
            exception when others then
                insert into wamp.event (slot, deferred, relation_schema, relation, op, options, size)
                values (its_slot, its_delay, its_schema, its_name,
                    case tg_when when 'BEFORE' then 'delete' else lower(tg_op collate "C") end, %11$L, 2147483647);
            end;
        end;
        if (its_number <> 0 or its_further_number <> 0)
            and (case when pg_try_advisory_lock_shared(20599, 3) then pg_advisory_unlock_shared(20599, 3) end) is null
        then
            perform wamp.wake(null, null);
        end if;
        return null;
    end;
end
$body$,
        head || insertion || shown || ' as new from ' || new_rows || tail || measured,
        head || deletion || deleted || ' as old from ' || old_rows || tail || measured,
        modification,
        retained,
        head_by_name || deletion || deleted || ' as old from ',
        tail || measured,
        head || deletion || 'null::json as old from ' || old_rows || tail || unmeasured,
        head || insertion || 'null::json as new from ' || new_rows || tail || unmeasured,
        head_by_name || deletion || 'null::json as old from ',
        tail || unmeasured,
        case when eligible then '{"eligible_authid": []}' else retained end,
        replace(replace(replace(correction, '{rows}', 'new_rows'), '{rows_read}', new_rows), '{none}', ''),
        replace(replace(replace(correction, '{rows}', 'old_rows'), '{rows_read}', old_rows), '{none}',
            'where false'),
        single_insertion,
        single_modification,
        single_deletion,
        bound);
end
$generator$;
