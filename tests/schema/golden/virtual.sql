create table computed (id int primary key, net numeric(10, 2), word text, gross numeric(10, 2) generated always as (net * 2) virtual, loud text collate "C" generated always as (upper(word)) virtual);
select wamp.watch('computed', '{"when": "net > 1"}');

CREATE TRIGGER wamp_delete AFTER DELETE ON public.computed REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_insert AFTER INSERT ON public.computed REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.computed FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_update AFTER UPDATE ON public.computed REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();

select json_agg(json_build_array(q.visible, q.virtual) order by x.n)
from json_array_elements($1) with ordinality as x (record, n)
cross join lateral (
  select (net > 1 ) is true as visible,
    textin(record_out(row(r.gross, r.loud))) as virtual
  from (
    select r.*,
      ((net * (2)::numeric))::numeric(10,2) as gross,
      (upper(word))::text collate "C" as loud
    from (
      select r.net,
        r.word
      from json_to_record(x.record) as r (net numeric, word text)
    ) as r
  ) as r
) as q;

-- condition of net: net > 1
-- layout, columns: {"computed": ["id integer", "net numeric", "word text", "gross numeric", "loud text"]}
-- layout, deferrable: false
-- layout, key: ["id"]
-- layout, name: "computed"
-- layout, reads: ["net numeric", "word text"]
-- layout, schema: "public"
-- layout, stamps: ["computed"]
-- layout, types: ["integer", "numeric", "text"]
-- layout, virtual: ["gross numeric(10,2) (net * (2)::numeric)", "loud text collate \"C\" upper(word)"]
-- layout, null: filled, partitions
