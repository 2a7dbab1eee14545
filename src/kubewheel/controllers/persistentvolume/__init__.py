"""Volumes and claims: match.py finds a volume for a claim (pure), binder.py ties them together,
provision.py has volumes made, reclaim.py takes them back, protection.py keeps what is used, expander.py tells who grows it."""
