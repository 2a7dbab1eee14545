"""What every patch engine raises. Called by: the rest of merge/; caught by apiserver's patch verb."""

from __future__ import annotations


class PatchError(Exception):
    """`malformed`: the patch itself is no patch (400 BadRequest). Otherwise it does not fit the document
    (422: "the server rejected our request due to an error in our request")."""

    def __init__(self, message: str, *, malformed: bool = False) -> None:
        super().__init__(message)
        self.malformed = malformed
