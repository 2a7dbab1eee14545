"""The one error by which a component alone ends with words instead of a trace. Called by: run/*, cli."""

from __future__ import annotations


class Ended(Exception):
    """Why the component cannot start or go on, for people; the process ends with 1."""
