-- What the specification is told about: each kind of thing that a request can name, with few rows.

create schema hidden;

-- Types ----------------------------------------------------------------------------------------

create type mood as enum ('sad', 'ok', 'happy');
create type place as (street text, zip int);
create domain price as numeric(10, 2) check (value >= 0);

-- A domain with a data representation: #0000ff outside, 255 inside.
create domain color as int check (value between 0 and 16777215);
create function hidden.color_to_json(color) returns json language sql immutable as
    $$ select to_json('#' || lpad(to_hex($1), 6, '0')) $$;
create function hidden.color_from_text(text) returns color language sql immutable as
    $$ select ('x' || lpad(ltrim($1, '#'), 8, '0'))::bit(32)::int::color $$;
create function hidden.color_from_json(json) returns color language sql immutable as
    $$ select hidden.color_from_text($1 #>> '{}') $$;
create cast (color as json) with function hidden.color_to_json(color);
create cast (json as color) with function hidden.color_from_json(json);
create cast (text as color) with function hidden.color_from_text(text);

-- People and teams: keys of every kind ------------------------------------------------------------

create table person (
    id int primary key,
    name text not null,
    born date,
    boss int references person,
    mentor int references person,
    home place,
    mood mood,
    nick text unique
);
insert into person values
    (1, 'Ada', '1990-01-01', null, null, ('Main St', 1000), 'happy', 'a'),
    (2, 'Bob', '1985-05-05', 1, 1, ('Low', null), 'sad', 'b'),
    (3, 'Cyd', null, 1, 2, null, 'ok', null),
    (4, 'Dan', '2000-12-31', 2, null, ('', 7), null, null);

create table passport (person int primary key references person, number text, pages smallint);
insert into passport values (1, 'P1', 32), (2, 'P2', 48);

create table team (country text, code int, title text, founded int, primary key (country, code));
insert into team values ('DE', 1, 'Lions', 1900), ('DE', 2, 'Bears', null), ('FR', 1, 'Owls', 1950);

create table member (
    person int references person,
    country text,
    code int,
    role text,
    since date,
    primary key (person, country, code),
    foreign key (country, code) references team
);
insert into member values
    (1, 'DE', 1, 'keeper', '2020-01-01'), (1, 'FR', 1, null, '2021-01-01'),
    (2, 'DE', 1, 'back', '2019-01-01'), (3, 'FR', 1, 'wing', null);

create table coach (
    person int references person,
    country text,
    code int,
    primary key (person, country, code),
    foreign key (country, code) references team
);
insert into coach values (2, 'DE', 1), (4, 'DE', 2);

create table friend (a int references person, b int references person, primary key (a, b));
insert into friend values (1, 2), (1, 3), (2, 3);

create table game (
    id int primary key,
    home_country text,
    home_code int,
    away_country text,
    away_code int,
    played timestamptz,
    score int[],
    constraint game_home foreign key (home_country, home_code) references team,
    constraint game_away foreign key (away_country, away_code) references team
);
insert into game values
    (1, 'DE', 1, 'FR', 1, '2024-03-01 15:00+00', '{2,1}'),
    (2, 'FR', 1, 'DE', 1, '2024-04-01 15:00+00', '{0,0}'),
    (3, 'DE', 2, null, null, null, null);

-- Functions of a row: computed columns and relationships.
create function initial(person) returns text language sql stable as $$ select left($1.name, 1) $$;
create function friends(person) returns bigint language sql stable as
    $$ select count(*) from friend where a = $1.id $$;
create function fans(person) returns setof person language sql stable as
    $$ select p.* from person as p join friend as f on f.a = p.id where f.b = $1.id $$;
create function chief(person) returns setof person rows 1 language sql stable as
    $$ with recursive up as (
        select p.*, 1 as n from person as p where p.id = $1.boss
        union all select p.*, n + 1 from up join person as p on p.id = up.boss
    ) select id, name, born, boss, mentor, home, mood, nick from up order by n desc limit 1 $$;
create function idol(person) returns person language sql stable as
    $$ select p from person as p where p.id = $1.id - 1 and $1.id < 4 $$;

-- Views: simple, of a view, of tables that are not exposed, and one with a trigger.
create view adult as
    select id, name as full_name, born, boss, nick from person where born < '1995-01-01';
create view adult_name as select id, full_name from adult;
create table hidden.account (id int primary key, owner int references person, secret text);
create table hidden.entry (id int primary key, account int references hidden.account, amount price);
insert into hidden.account values (10, 1, 's'), (20, 2, 't'), (30, null, 'u');
insert into hidden.entry values (1, 10, 1.50), (2, 10, 2), (3, 20, 9.99);
create view account as select id as number, owner from hidden.account;
create view entry as select id, account as account_number, amount from hidden.entry;
create view roster as
    select p.id, p.name, m.country, m.role
    from person as p left join member as m on m.person = p.id;
create function hidden.write_roster() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        delete from member where person = old.id;
        return old;
    elsif tg_op = 'UPDATE' then
        update person set name = new.name where id = old.id;
        return new;
    end if;
    insert into person (id, name) values (new.id, new.name);
    return new;
end $$;
create trigger write_roster instead of insert or update or delete on roster
    for each row execute function hidden.write_roster();

-- Values of every type --------------------------------------------------------------------------

create table item (
    id int primary key,
    title text,
    amount numeric,
    at timestamptz,
    flag bool,
    tags text[],
    grid int[],
    data jsonb,
    raw json,
    span int4range,
    spans int4multirange,
    body text,
    words tsvector generated always as (to_tsvector('english', coalesce(body, ''))) stored,
    paint color,
    cost price,
    uid uuid,
    ratio float8,
    mood mood,
    home place,
    owner int references person
);
insert into item (id, title, amount, at, flag, tags, grid, data, raw, span, spans, body, paint, cost,
    uid, ratio, mood, home, owner) values
    (1, 'Apple pie', 1.50, '2024-01-01 10:00+02', true, '{a,b}', '{1,2,3}',
     '{"a": 1, "b": {"c": "x"}, "l": [1, {"k": "v"}]}', '{"z": 1}', '[1,5)', '{[1,3),[5,9)}',
     'the fat cat sat', 255, 1.5, '00000000-0000-0000-0000-000000000001', 0.5, 'happy',
     ('Main St', 1000), 1),
    (2, 'banana', 20, '2023-06-01 00:00+00', false, '{b,c}', '{}',
     '{"a": 2, "b": {"c": "y"}, "->": {"q\"": 1}}', '[1, 2]', '[4,9)', '{}', 'fat rats ran', 16711680,
     20, '00000000-0000-0000-0000-000000000002', 'NaN', 'sad', ('Low', null), 1),
    (3, 'Cherry 100%', null, null, null, null, null, null, null, null, null, null, null, null, null,
     null, null, null, null),
    (4, 'apple', 1.5, '2024-01-01 08:00+00', true, '{}', '{2}', '"text"', 'null', 'empty', '{[20,)}',
     'a cat and a rat', 0, 0, '00000000-0000-0000-0000-000000000004', 'Infinity', 'ok', null, 2),
    (5, 'date_pie', -3, '2024-02-01 00:00+00', false, '{a,"x,y",NULL}', '{5,NULL}', '[1, 2, 3]',
     '"s"', '[9,)', '{(,0)}', '', 16777215, 100, '00000000-0000-0000-0000-000000000005', -1e30, 'ok',
     ('', 7), null);

create table wide (
    id int primary key,
    item int references item,
    big bigint, small smallint, o oid, r real, d double precision, n numeric, t text, v varchar(9),
    c char(3), b bytea, j json, jb jsonb, day date, clock time, zclock timetz, stamp timestamp,
    zstamp timestamptz, gap interval, uid uuid, ip inet, net cidr, bits bit(3), spot point, mood mood,
    paint color, cost price, home place, homes place[], ints int[], bigs bigint[], nums numeric[],
    floats float8[], texts text[], bytes bytea[], stamps timestamptz[], moods mood[], docs jsonb[],
    span int4range, period tstzrange, spans int4multirange, words tsvector, money money
);
insert into wide values
    (1, 1, 9223372036854775807, -32768, 4294967295, 0.1, 1e300, 12345678901234567890.000001,
     E'q"\\\n', 'v', 'c', '\x00ff', '{"a": [1, 2.0, 1e3]}', '{"big": 123456789012345678901234567890}',
     '2024-02-29', '12:00:00.5', '12:00+05:30', '2024-01-01 10:00', '2024-01-01 10:00+02',
     '1 day 02:00', '00000000-0000-0000-0000-00000000000a', '10.0.0.1', '10.0.0.0/8', '101', '(1,2.5)',
     'ok', 255, 1, ('a,"b', 1), array[('x', 1)::place, null], '{1,NULL}', '{9007199254740993}',
     '{1.50,NaN}', '{1,NaN,Infinity}', '{"a,b",NULL,"null"}', '{"\\x00",NULL}',
     '{"2024-01-01 00:00+00"}', '{sad,happy}', array['{"a": 1}', 'null']::jsonb[], '[1,5)',
     '[2024-01-01 00:00+00,)', '{[1,3)}', 'a:1 b:2', 12.5),
    (2, 1, 0, 0, 0, 'NaN', 'NaN', 'NaN', '', '', '', '', 'null', 'null', 'infinity', '00:00',
     '00:00+00', '-infinity', 'infinity', '-1 mon', '00000000-0000-0000-0000-000000000000', '::1',
     '::/0', '000', '(0,0)', 'sad', 0, 0, (null, null), '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
     '{}', '{}', 'empty', 'empty', '{}', '', 0),
    (3, 1, null, null, null, 'Infinity', '-Infinity', 'Infinity', null, null, null, null, null, null,
     null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
     null, null, null, null, null, null, null, null, null, null, null, null, null, null);
create function same(wide) returns wide language sql stable as $$ select $1 $$;
create function wides() returns setof wide language sql stable as $$ select * from wide $$;
create function first_wide() returns wide language sql stable as $$ select w from wide as w where id = 1 $$;
create function wide_rows() returns table (n int, w wide) language sql stable as
    $$ select id, w from wide as w $$;

-- Tables to write to ------------------------------------------------------------------------------

create table product (
    id int primary key generated always as identity (start 100),
    sku text unique,
    vendor text,
    code int,
    title text not null default 'new',
    qty int default 1 check (qty >= 0),
    doubled int generated always as (qty * 2) stored,
    paint color,
    cost price,
    tags text[],
    data jsonb,
    home place,
    maker int references person,
    unique (vendor, code)
);
insert into product (sku, vendor, code, title, qty, maker) values
    ('s1', 'v', 1, 'pen', 5, 1), ('s2', 'v', 2, 'ink', 7, 2), ('s3', 'w', 1, 'pad', null, null);
create function half(product) returns numeric language sql stable as $$ select $1.qty / 2.0 $$;
create function twins(product) returns setof product language sql stable as
    $$ select * from product where vendor = $1.vendor and id <> $1.id $$;
create table stock (
    shelf text, product int references product, qty int default 0, primary key (shelf, product)
);
insert into stock values ('a', 100, 1), ('a', 101, 2), ('b', 100, 3);
-- A way from product to person beside the foreign key.
create table rating (
    product int references product, person int references person, stars int,
    primary key (product, person)
);
insert into rating values (100, 2, 5), (100, 3, 4);
-- Names that need care: a column called as its table, a table called as a word of SQL.
create table "order" (id int primary key, "order" text, "Total %s" int);
insert into "order" values (1, 'a', 5), (2, 'b', 6);
create function twice("order") returns int language sql stable as $$ select 2 * $1."Total %s" $$;
create function next("order") returns setof "order" rows 1 language sql stable as
    $$ select * from "order" where id = $1.id + 1 $$;
create table log (line text, at int default 7);
create table slot (id int primary key generated by default as identity, note text);
insert into slot (note) values ('one'), ('two');
create view cheap as select id, sku, title as label, qty, doubled from product where qty < 10;

-- Routines -----------------------------------------------------------------------------------------

create function add(a int, b int default 10) returns int language sql immutable as $$ select a + b $$;
create function pick(n int) returns text language sql immutable as $$ select 'int' $$;
create function pick(word text) returns text language sql immutable as $$ select 'text' $$;
create function pick(n int, m int) returns text language sql immutable as $$ select 'two' $$;
create function vague(a int) returns text language sql immutable as $$ select 'int' $$;
create function vague(b bigint) returns text language sql immutable as $$ select 'bigint' $$;
create function total(label text, variadic n int[]) returns text language sql immutable as
    $$ select label || coalesce(sum(v), 0) from unnest(n) as v $$;
create function outs(x int, out double int, out half numeric) language sql immutable as
    $$ select x * 2, x / 2.0 $$;
create function bump(inout x int) language sql immutable as $$ select x + 1 $$;
create function pair_of(inout x int, out y text) language sql immutable as $$ select x + 1, 'y' $$;
create function rows_of(n int) returns table (num int, word text, big bigint) language sql immutable as
    $$ select i, 'w' || i, i::bigint * 10 from generate_series(1, n) as i $$;
create function numbers(n int) returns setof int language sql immutable as
    $$ select generate_series(1, n) $$;
create function places() returns setof place language sql immutable as
    $$ values (row('a', 1)::place), (row('b', null)::place) $$;
create function people(first int default 1) returns setof person language sql stable as
    $$ select * from person where id >= first $$;
create function somebody(wanted int) returns person language sql stable as
    $$ select p from person as p where id = wanted $$;
create function street(p place) returns text language sql immutable as $$ select p.street $$;
create function streets(p place[]) returns text[] language sql immutable as
    $$ select array(select street from unnest(p)) $$;
create function keys(doc jsonb) returns setof text language sql immutable as
    $$ select jsonb_object_keys(doc) $$;
create function sorted(n int[]) returns int[] language sql immutable as
    $$ select array(select v from unnest(n) as v order by v) $$;
create function mix(one color, two color) returns color language sql immutable as
    $$ select (one | two)::color $$;
create function paints() returns setof color language sql immutable as $$ values (1::color), (null) $$;
create function paid(amount money) returns money language sql immutable as $$ select amount $$;
create function nothing() returns void language sql as $$ select $$;
create function taken("limit" int, "where" text) returns setof text language sql immutable as
    $$ select "where" || i from generate_series(1, "limit") as i $$;
create function "substring"(a text) returns text language sql immutable as $$ select 's' || a $$;
create function "cube"(a int, b int) returns int language sql immutable as $$ select a * b $$;
create function "coalesce"(a int) returns int language sql immutable as $$ select -a $$;
create function "now"() returns text language sql immutable as $$ select 'mine' $$;
create function "count"(a int) returns int language sql immutable as $$ select a $$;
create function "current_user"() returns text language sql immutable as $$ select 'nobody' $$;
create function sly() returns void language plpgsql stable as
    $$ begin perform really_log('sly'); end $$;
create function really_log(line text) returns void language sql volatile as
    $$ insert into log (line) values (line) $$;
create function noted(word text) returns setof log language sql volatile as
    $$ insert into log (line) values (word) returning * $$;
create procedure note(line text) language sql as $$ insert into log (line) values (line) $$;
create procedure measure(word text, out size int, out upper_word text, times int default 1)
    language plpgsql as $$ begin size := length(word) * times; upper_word := upper(word); end $$;
create procedure next_one(inout n int) language plpgsql as $$ begin n := n + 1; end $$;
create procedure in_steps(line text) language plpgsql as
    $$ begin insert into log (line) values (line); commit; raise exception 'after commit'; end $$;
