"""Who sent this request? The authenticators in their order; the first that knows the credentials answers.

In: a Request. Out: Identity, or StatusError 401. Called by: chain.py; TokenReview asks `.tokens`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kubewheel.api import errors
from kubewheel.apiserver.attributes import Authenticator
from kubewheel.apiserver.authn import service_account
from kubewheel.apiserver.authn.anonymous import Anonymous
from kubewheel.apiserver.authn.bootstrap_token import BootstrapTokens
from kubewheel.apiserver.authn.request_header import RequestHeader
from kubewheel.apiserver.authn.service_account import ServiceAccounts
from kubewheel.apiserver.authn.token_file import TokenFile
from kubewheel.apiserver.authn.tokens import TokenAuthenticator, Tokens
from kubewheel.apiserver.authn.x509 import ClientCertificates
from kubewheel.client.transport import Identity, Request
from kubewheel.lib import tls

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server


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


def build(server: Server) -> Authentication:
    """The authentication of the server's options."""
    options, clock = server.options, server.clock
    others: list[TokenAuthenticator] = []
    if options.token_auth_file:
        others.append(TokenFile(Path(options.token_auth_file).read_text()))
    others.append(BootstrapTokens(server.caches, clock))
    accounts = ServiceAccounts(
        private_key=options.service_account_key or tls.new_ec_key(), clock=clock,
        get=service_account.getter(server.caches, server.client), issuers=(options.service_account_issuer,),
        audiences=options.api_audiences,
        jwks_uri=f"https://{options.advertise_address}:{options.secure_port}/openid/v1/jwks")
    return Authentication(
        request_header=RequestHeader(options.requestheader_client_ca, clock,
                                     allowed_names=options.requestheader_allowed_names)
        if options.requestheader_client_ca else None,
        certificates=ClientCertificates(options.client_ca, clock) if options.client_ca else None,
        service_accounts=accounts, other_tokens=others, anonymous=Anonymous() if options.anonymous_auth else None)
