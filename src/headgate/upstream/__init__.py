"""Outbound HTTP/1.1: the client, its connections and pools, TLS, timeouts.

Knows nothing of accounts or dialects: a head and a body go out, an answer comes back.
"""
