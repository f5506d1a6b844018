select (c).name, (c).parent_id from categories c
select (select c from categories c limit 1).name
select s.s, chr(s.s) from generate_series(65, 70) s
select 0b1010_0101, 0o7_7, 0xDEAD_BEEF, 1_0.5_0, 1e-3, -0.0, +5, - - 5
