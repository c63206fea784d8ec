"""How an account signs in (RFC 6749 with PKCE, RFC 8628), and stays signed in.

One engine for every provider: what is peculiar to one is data (`providers/sign_in.py`), what is the
owner's (client id, addresses, scopes) is settings.
"""
