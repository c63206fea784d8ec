"""The simulated provider: a server that speaks the Anthropic wire format, and misbehaves on request.

`__main__.py` starts it; `connection.py` reads and writes sockets; `simulator.py` is the way of one request;
`routes.py` leads to messages, completions, batches, files and models; `delivery.py` plans what goes to the
socket byte by byte, with the faults of `script.py`; `books.py` keeps what was received, sent and used.
"""
