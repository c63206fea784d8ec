"""One table of settings for file, environment and flags; loading, saving, the platform's places.

Start with `settings.py` (what can be set), then `loading.py` (how four sources become one).
What a setting does is not here but in the room that reads it.
"""
