select p_diagnostics()
select p_stable_diagnostics()
