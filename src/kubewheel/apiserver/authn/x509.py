"""Client certificates: CN is the user, O are the groups.

In: request.peer.certificates. Out: Identity. A certificate that does not verify is as good as none for TLS-terminated
strangers, but is refused here. Called by: authn union.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict

from kubewheel.api import errors
from kubewheel.apiserver.authn import tokens
from kubewheel.client.transport import Identity, Request
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls

log = logging.getLogger(__name__)

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
MAX_REMEMBERED = 1024


class ClientCertificates:
    """Verified leaves are remembered by their bytes until they end: a connection sends many requests."""

    def __init__(self, client_ca: bytes, clock: clocks.Clock) -> None:
        self._authorities = tls.load_bundle(client_ca)
        self._clock = clock
        self._known: OrderedDict[tuple[bytes, ...], tuple[float, Identity]] = OrderedDict()

    async def authenticate(self, request: Request) -> Identity | None:
        chain = request.peer.certificates
        if not chain:
            return None
        now = self._clock.now()
        known = self._known.get(chain)
        if known is not None and now < known[0]:
            return known[1]
        try:
            leaf = tls.verify_client(chain, self._authorities, now=now)
        except ValueError as e:
            log.info("unable to verify a client certificate: %s", e)
            raise errors.unauthorized() from e
        subject = tls.subject_of(leaf)
        if not subject.common_name:
            return None
        fingerprint = hashlib.sha256(chain[0]).hexdigest()
        user = tokens.with_group(Identity(subject.common_name, subject.uid, subject.organizations,
                                          {CREDENTIAL_ID: [f"X509SHA256={fingerprint}"]}))
        self._known[chain] = (leaf.not_valid_after_utc.timestamp(), user)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return user
