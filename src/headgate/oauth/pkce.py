"""Proof keys: whoever brings the code must be whoever asked for it (RFC 7636, sections 4.1 and 4.2)."""

import base64
import hashlib
import secrets


def new_verifier() -> str:
    """43 characters of 256 random bits."""
    return secrets.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    """Method S256."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
