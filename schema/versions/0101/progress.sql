-- How far raw rows were made into events, and the last position of the log: what stands with the last event, or
-- in wamp.sequencer if that is newer.
create or replace view wamp.progress as
select s.removed_position, s.removed_mark,
    case when e.position > s.position then e.position else s.position end as position,
    case when e.position > s.position then e.mark else s.mark end as mark,
    case when e.position > s.position then e.seen else s.seen end as seen,
    case when e.position > s.position then e.taking else s.taking end as taking,
    case when e.position > s.position then e.taken_place else s.taken_place end as taken_place,
    case when e.position > s.position then e.taken_xid else s.taken_xid end as taken_xid,
    case when e.position > s.position then e.taken_after else s.taken_after end as taken_after,
    case when e.position > s.position then e.taken_number else s.taken_number end as taken_number,
    case when e.position > s.position then e.taken_rows else s.taken_rows end as taken_rows
from wamp.sequencer as s
left join lateral (
    select position, mark, seen, taking, taken_place, taken_xid, taken_after, taken_number, taken_rows
    from wamp.log order by position desc limit 1
) as e on true;
