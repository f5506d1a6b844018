select * from guarded
select * from watched
