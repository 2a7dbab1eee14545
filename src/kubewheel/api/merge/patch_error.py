"""What every patch engine raises. Called by: the rest of merge/; caught by apiserver's patch verb."""

from __future__ import annotations


class PatchError(Exception):
    """`code`: 400, the patch itself is no patch; 422, it does not fit the document ("the server rejected our request due
    to an error in our request"); 500, what upstream answers with a plain error and its text."""

    def __init__(self, message: str, *, code: int = 422) -> None:
        super().__init__(message)
        self.code = code
