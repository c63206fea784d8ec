"""Whom we call: one file for what is peculiar to a provider (addressing, credentials, limit headers).

How things are said on the wire is not here but in `dialects/`.
"""
