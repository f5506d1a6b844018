"""Authenticates callers: a bearer token becomes a principal, or the request is refused.

    Authorization ─▶ gate ─┬─▶ static_tokens      hashes in the settings
                           ├─▶ jwt_tokens ─▶ jwks  signed by the keys of an OAuth 2.1 issuer
                           └─▶ introspection       asked of the authorization server (RFC 7662)

principal   the authenticated caller, and the errors of tokens

fetching    bounded requests to the issuer

Tokens are never logged, shown, stored or forwarded; only a hash of a token is stored.
"""
