"""Volumes and claims: match.py finds a volume for a claim (pure), binder.py ties them together and reclaims,
protection.py keeps what is used, expander.py tells who grows it."""
