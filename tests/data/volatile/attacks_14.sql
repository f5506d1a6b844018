select atomic_writer()
select returning_writer()
select atomic_locker()
select p_slice()
