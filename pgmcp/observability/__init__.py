"""What an operator can see of the calls: log lines, an audit file, traces and metrics.

call_log    a line when a call begins and one when it ends, with its id in all lines between
log_format  those lines as text or JSON, on standard error
audit       who asked what of which database, and what became of it: a line of JSON each, never a value
telemetry   OpenTelemetry spans and metrics; silent unless the operator configured where to send them

None of them sees rows, and none but the audit file, if the operator says so, SQL.
"""
