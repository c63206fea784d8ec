"""One table of settings for file, environment and flags; loading, saving, the platform's places."""
