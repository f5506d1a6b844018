select * from profiles order by id
select id, full_name, username from public.profiles p order by 1 limit 5
select p.full_name, count(t.id) as open from profiles p left join todos t on t.user_id = p.id and not t.is_complete group by p.id order by 2 desc, 1
select full_name(p) from profiles p order by 1
select p.full_name from profiles p where p.full_name ilike '%user%' order by 1
select s.id, s.days_left is null from subscriptions s order by 1
select id, days_left(s) is not null from subscriptions s order by id
select * from organizations order by name
select o.name, o.slug, o.settings->'tier'->>'seats' as seats from organizations o where o.slug = 'ACME'
select * from memberships order by 1, 2
select m.role, count(*) from memberships m group by m.role
select role from memberships where role = 'member' limit 1
select role, count(*) filter (where joined_at > '2026-01-01') from public.memberships group by role having count(*) > 1
select * from todos order by id
select date_trunc('week', inserted_at) as week, count(*) from todos group by 1 order by 1
select unnest(tags) as tag, count(*) from todos group by 1 order by 1
select * from subscriptions where status in ('active', 'past_due') order by id
select status, sum(price_cents * quantity) / 100.0 as mrr from subscriptions group by status order by status
select status, lower(current_period), upper(current_period), upper(current_period) - lower(current_period) from subscriptions order by id
select id from subscriptions where current_period @> timestamptz '2026-01-15' order by id
select * from documents order by id
select title, ts_headline('english', body, plainto_tsquery('english', 'fox')) from documents where fts @@ plainto_tsquery('english', 'fox')
select * from search_documents('fox')
select id, title from public.search_documents(q => 'dogs', n => 5)
select * from role_permissions order by id
select * from audit_log
select email, confirmed_at from auth.users order by email
select * from auth.users u join profiles p using (id) order by u.email
select auth.uid(), auth.role(), auth.email(), auth.jwt()
select * from active_members order by id, organization
select * from user_emails order by email
select month, n, round(100.0 * done / n, 1) from monthly_todos order by month
select * from organization_stats('10000000-0000-0000-0000-000000000001')
select custom_access_token_hook('{"user_id": "00000000-0000-0000-0000-000000000001", "claims": {}}')
select r.name, b.during from rooms r left join bookings b on b.room_id = r.id order by 1, 2
select r.name from rooms r where not exists (select from bookings b where b.room_id = r.id and b.during && tstzrange('2026-01-02', '2026-01-04')) order by 1
select similarity(name, 'acme'), name % 'acm' from organizations order by name
select gen_random_uuid() is not null
select polname, polrelid::regclass, pg_get_expr(polqual, polrelid) from pg_policy order by 1, 2
select * from pg_policies order by tablename, policyname
select relname, relrowsecurity, relforcerowsecurity from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1
select u.email, json_agg(t order by t.id) from auth.users u join todos t on t.user_id = u.id group by u.email order by 1
select jsonb_build_object('user', p, 'org', o) from profiles p, organizations o order by p.id, o.id limit 2
select row_to_json(t) from (select id, task from todos order by id limit 2) t
select to_jsonb(t) - 'user_id' from todos t order by id limit 2
select enum_range(null::app_role), enum_first(null::app_role), unnest(enum_range(null::subscription_status))
select 'admin'::app_role > 'member'::app_role
select count(*) from todos where user_id = auth.uid()
select count(*) from todos where user_id = (select auth.uid()) or auth.uid() is null
with m as (select organization_id, count(*) n from memberships group by 1) select o.name, m.n, rank() over (order by m.n desc) from organizations o join m on m.organization_id = o.id order by 1
select id, task, lag(inserted_at) over (partition by user_id order by id) from todos order by id limit 7
explain select * from todos where user_id = auth.uid()
explain (format json, costs off) select * from documents
explain (analyze, timing off, costs off, summary off, buffers off) select count(*) from rooms
select coalesce(nullif(current_setting('request.jwt.claims', true), ''), 'none')
select * from auth.users where raw_user_meta_data @> '{"full_name": "User 1"}' order by id
select jsonb_path_query(settings, '$.flags[*]') from organizations
select p.id, o.* from profiles p cross join lateral (select o.name from organizations o join memberships m on m.organization_id = o.id where m.user_id = p.id order by o.name limit 1) o order by 1
