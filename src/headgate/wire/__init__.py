"""Byte formats without I/O: server-sent events, header lists, content codings."""
