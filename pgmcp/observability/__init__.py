"""Observers of calls for operators: log lines, an audit file, traces and metrics.

call_log   a log line at the end of each call; the call's id in all lines written during it; text or JSON
audit      one line of JSON per call: caller, statement, database and outcome; never a value of a result
telemetry  OpenTelemetry spans and metrics, and metrics as a page for Prometheus, if the operator enables them
outcome    the outcome of a call in one word
standard_error
           writes log lines without waiting for their reader

None of them sees rows. Only the audit file contains SQL, and only if the operator enables that.
"""
