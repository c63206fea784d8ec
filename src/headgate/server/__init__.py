"""Where clients come in: sockets, the HTTP protocol with its fast lane, the routing table, drain.

A request for a provider route becomes an `Exchange` and goes to `relay/`, without ASGI.
Everything else goes on to the ASGI app of `admin/`.
"""
