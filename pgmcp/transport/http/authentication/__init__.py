"""Authenticates callers: a bearer token becomes a principal, or the request is refused.

    Authorization ─▶ gate ─┬─▶ static_tokens      hashes in the settings
                           ├─▶ jwt_tokens ─▶ jwks  signed by the keys of an OAuth 2.1 issuer
                           └─▶ introspection       checked by the authorization server (RFC 7662)

principal   makes a principal of a token's claims; the errors of tokens
fetching    sends requests to the issuer, with limits

Tokens are not logged, shown or stored, and are sent only to the authorization server. Only their hashes are
kept.
"""
