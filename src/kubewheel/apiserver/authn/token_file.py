"""Static tokens of a CSV file (--token-auth-file): token,user,uid,"group1,group2".

In: the file's text. Out: Verified. Called by: authn union.
"""

from __future__ import annotations

import csv
import io

from kubewheel.apiserver.authn.tokens import Verified
from kubewheel.client.transport import Identity


class TokenFile:
    def __init__(self, text: str) -> None:
        """ValueError for a row with fewer than three columns."""
        self._users: dict[str, Identity] = {}
        for row in csv.reader(io.StringIO(text), skipinitialspace=True):
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if len(row) < 3:
                raise ValueError("token file must have at least 3 columns (token, user name, user uid), "
                                 f"found {len(row)}")
            groups = tuple(g.strip() for g in row[3].split(",") if g.strip()) if len(row) > 3 else ()
            if row[0]:
                self._users[row[0]] = Identity(row[1], row[2], groups)

    async def authenticate_token(self, token: str, audiences: tuple[str, ...]) -> Verified | None:
        user = self._users.get(token)
        return None if user is None else Verified(user, audiences)
