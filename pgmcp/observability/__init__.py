"""Observers of calls for operators: log lines, an audit file, traces and metrics.

call_log      a log line at the end of each call; the call's id in all lines written during it
log_format    log lines as text or JSON on standard error
audit         one line of JSON per call: who asked what of which database, and the outcome; never a value
telemetry     OpenTelemetry spans and metrics, if the operator enables them
metrics_page  metrics as a page for Prometheus
outcome       the outcome of a call in one word

None of them sees rows. Only the audit file contains SQL, and only if the operator enables that.
"""
