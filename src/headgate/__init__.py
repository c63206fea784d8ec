"""Headgate: a self-hosted gateway between AI coding tools and the model providers.

Start reading at `docs/way-of-a-request.md`; the rooms below stand in the order of that walk.
`assembly/` is the only room that names concrete parts. Nothing is exported from here.
"""

import gc

# What an import makes stays; looking through it for garbage takes an eighth of every start.
gc.set_threshold(50_000, 20, 100)
