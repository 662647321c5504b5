-- Result types of the aggregates that columns can name, by the type that they take.
select p.proname::text as name, p.proargtypes[0]::bigint as argument, p.prorettype::bigint as result
from pg_proc as p
where p.pronamespace = 'pg_catalog'::regnamespace
    and p.prokind = 'a'
    and p.pronargs = 1
    and p.proname in ('sum', 'avg', 'min', 'max', 'bool_and', 'bool_or')
