"""Who calls: a bearer token becomes a principal, or the request is refused.

    Authorization ─▶ gate ─┬─▶ static_tokens      hashes in the settings
                           ├─▶ jwt_tokens ─▶ jwks  signed by the keys of an OAuth 2.1 issuer
                           └─▶ introspection       asked of the authorization server (RFC 7662)

principal   who calls, and the ways in which a token fails
challenge   what a refused client is told: WWW-Authenticate, protected-resource metadata (RFC 9728)
fetching    bounded requests to the issuer

Tokens are never logged, shown, kept or passed on; what is kept of one is a hash.
"""
