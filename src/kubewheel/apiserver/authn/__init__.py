"""Who sent this request? The authenticators in their order; the first that knows the credentials answers.

In: a Request. Out: Identity, or StatusError 401. Called by: chain.py; TokenReview asks `.tokens`.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api import errors
from kubewheel.apiserver.attributes import Authenticator
from kubewheel.apiserver.authn.anonymous import Anonymous
from kubewheel.apiserver.authn.request_header import RequestHeader
from kubewheel.apiserver.authn.service_account import ServiceAccounts
from kubewheel.apiserver.authn.tokens import TokenAuthenticator, Tokens
from kubewheel.apiserver.authn.x509 import ClientCertificates
from kubewheel.client.transport import Identity, Request


class Authentication:
    """The union. Bad credentials of one kind do not stop another kind, but are never anonymous."""

    def __init__(
        self, *, service_accounts: ServiceAccounts, request_header: RequestHeader | None = None,
        certificates: ClientCertificates | None = None, other_tokens: Iterable[TokenAuthenticator] = (),
        anonymous: Anonymous | None = None,
    ) -> None:
        self.service_accounts = service_accounts
        # the order in which tokens are shown: what is cheap to recognise first (file, service accounts, bootstrap)
        members: list[TokenAuthenticator] = [service_accounts, *other_tokens]
        self.tokens = Tokens(members)
        self.anonymous = anonymous
        order: list[Authenticator | None] = [
            request_header,  # a trusted proxy speaks for somebody: before its own certificate is looked at
            certificates,  # CN and O of a client certificate
            self.tokens,  # Authorization: Bearer …
        ]
        self.members = tuple(m for m in order if m is not None)

    async def authenticate(self, request: Request) -> Identity:
        """StatusError 401 for bad credentials, or none where anonymous requests are off."""
        refused: errors.StatusError | None = None
        for member in self.members:
            try:
                user = await member.authenticate(request)
            except errors.StatusError as e:
                refused = e
                continue
            if user is not None:
                return user
        if refused is None and self.anonymous is not None:
            anonymous = await self.anonymous.authenticate(request)
            if anonymous is not None:
                return anonymous
        raise refused or errors.unauthorized()
