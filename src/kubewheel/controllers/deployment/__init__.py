"""Deployments: plan.py, revisions.py and status.py decide, controller.py carries out."""
