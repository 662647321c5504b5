-- Raise unless wamp.publish may use this topic: a URI, not one of the router's own, and one that a
-- component has said it publishes to. Before the first component has started, any other will do.
--
-- Topics of changes are never among them, so that nobody forges a change: those that end as the topics of
-- all watched tables do, whatever the prefix, and those that a template of a watched table makes.
create or replace function wamp.require_topic(topic text) returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
begin
    if octet_length(topic) > 1000 then
        raise exception 'topic has % bytes, more than the 1000 of a topic', octet_length(topic)
            using errcode = 'program_limit_exceeded',
                hint = 'Send what it says in args or kwargs.';
    end if;
    -- The router ends the whole session over white space of any kind, also where \s of this
    -- database's locale is ASCII only.
    if topic is null or topic !~ '^[^\s.#]+(\.[^\s.#]+)*$' or topic ~
        '[\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]' then
        raise exception 'topic % is not a WAMP URI', coalesce(quote_literal(topic), 'null')
            using errcode = 'invalid_parameter_value',
                hint = 'Write parts separated by dots, such as com.example.hello.';
    end if;
    if topic ~ '^wamp(\.|$)' then
        raise exception 'topic % belongs to the router', quote_literal(topic)
            using errcode = 'insufficient_privilege',
                hint = 'Topics that begin with wamp. are reserved; use your own prefix.';
    end if;
    if topic ~ '\.(inserted|updated|deleted|truncated)$' or exists (
        select from wamp.watched as w
        where w.options ? 'topic' and topic ~ ('^' || regexp_replace(
            replace(
                regexp_replace(w.options ->> 'topic', '([.+*?^$|()\[\]\\])', '\\\1', 'g'),
                '{op}', '(inserted|updated|deleted)'),
            '\{[^{}]+\}', '[^.]+', 'g') || '$')
    ) then
        raise exception 'topic % belongs to the changes of a table', quote_literal(topic)
            using errcode = 'insufficient_privilege',
                hint = 'Only committed changes are published there; use another topic, whose last part is '
                    'none of inserted, updated, deleted and truncated.';
    end if;
    if not (
        select coalesce(bool_or(
            topic = allowed or (right(allowed, 1) = '.' and starts_with(topic, allowed))
        ), true)
        from wamp.component as c, unnest(c.topics) as allowed
    ) then
        raise exception 'topic % is not one that this database publishes to', quote_literal(topic)
            using errcode = 'insufficient_privilege',
                hint = 'Publish below the prefix of the component, or add the topic to '
                    'events.publish_topics of pgwamp.toml and start the component again.';
    end if;
end
$$;
