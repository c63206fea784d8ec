"""The callers we admit: client keys, and what a caller without one may do."""
