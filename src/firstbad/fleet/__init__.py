"""Many hosts as one engine."""
