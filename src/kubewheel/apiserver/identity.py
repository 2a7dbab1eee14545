"""Puts authentication and authorization together from Options: which authenticators, which modes, which keys.

In: a Server with its options. Out: Authentication, Authorizer. Called by: server.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kubewheel.apiserver import authn
from kubewheel.apiserver.authn import anonymous, bootstrap_token, request_header, service_account, token_file, x509
from kubewheel.apiserver.authz import modes
from kubewheel.lib import tls

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server


def authentication(server: Server) -> authn.Authentication:
    options, clock = server.options, server.clock
    tokens = service_account.ServiceAccounts(
        private_key=options.service_account_key or tls.new_ec_key(), get=service_account.getter(server.caches, server.client),
        clock=clock, issuers=(options.service_account_issuer, *options.service_account_other_issuers),
        audiences=options.api_audiences, public_keys=options.service_account_public_keys,
        max_seconds=int(options.service_account_max_token_expiration),
        extend=options.service_account_extend_token_expiration)
    others: list[authn.TokenAuthenticator] = []
    if options.token_auth_file:
        others.append(token_file.TokenFile(Path(options.token_auth_file).read_text()))
    if options.enable_bootstrap_token_auth:
        others.append(bootstrap_token.BootstrapTokens(server.caches, clock))
    front_proxy = None
    if options.requestheader_client_ca:
        front_proxy = request_header.RequestHeader(
            options.requestheader_client_ca, clock, allowed_names=options.requestheader_allowed_names,
            username_headers=options.requestheader_username_headers, uid_headers=options.requestheader_uid_headers,
            group_headers=options.requestheader_group_headers, extra_prefixes=options.requestheader_extra_headers_prefix)
    return authn.Authentication(
        request_header=front_proxy,
        certificates=x509.ClientCertificates(options.client_ca, clock) if options.client_ca else None,
        service_accounts=tokens, other_tokens=others,
        anonymous=anonymous.Anonymous() if options.anonymous_auth else None)


def authorization(server: Server) -> modes.Union:
    return modes.build(server.options.authorization_mode, server.caches)
