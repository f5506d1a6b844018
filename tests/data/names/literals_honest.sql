select 'sad'::mood
select 'sad'::mood, mood, 1 from people order by 1
select distinct 'sad'::mood as m from people
select '{sad}'::mood[], 'sad'::dmood, mood 'glad', '(sad,1)'::pair, null::mood
select pg_typeof('sad'::mood), count('sad'::mood), 'sad'::mood is null from people
select 1 from people group by 'sad'::mood order by 'sad'::mood
select to_json('sad'::mood), 'low'::tone
select c, d from codes order by d is null
select count(*) from codes where c is null
