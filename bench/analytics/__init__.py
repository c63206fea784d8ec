"""How fast the owner's sums are over a long history: `make bench-analytics`."""
