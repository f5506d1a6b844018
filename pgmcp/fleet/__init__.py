"""Rate limits, stored results and answers that the servers of a fleet share in one Redis.

    settings ─▶ sharing ─▶ connection ─▶ Redis
                  ├─ counts    budgets of requests and tokens, counted by the `limits` library
                  ├─ results   rows for later pages, encrypted with a key that only the servers know
                  └─ answers   hosts' answers, for calls that wait at another server

connection   one pool of connections; every use has a time limit, and an outage is noticed once
sharing      builds the others from the settings: counts for `pgmcp.rate_limit`, results and answers
answers      a host's answers to calls that wait at another server
results      stored results: bounded, expiring, for the principal that asked
encryption   encryption of results and answers, with keys that can be rotated

The Redis client is an extra (`fleet`); only this package imports it.
"""
