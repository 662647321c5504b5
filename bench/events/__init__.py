"""What events cost and what they carry. ``python -m bench.events``."""
