"""Headgate and nginx side by side: what one relayed request costs, in CPU time of the gateway's process.

`python -m bench` runs it; `targets.py` holds who is measured, `workloads.py` what is asked, `mock.py` the
upstream that answers both. What the figures mean and how to read them: `docs/performance.md`.
"""
