"""A transport that speaks as a service account, with tokens asked for by another client (TokenRequest).

In: a client that may create service accounts and their tokens; an Http without credentials. Out: a Transport.
Called by: run/alone (--use-service-account-credentials).
"""

from __future__ import annotations

import asyncio
import logging

from kubewheel.api import errors
from kubewheel.client.client import Client
from kubewheel.client.http import Http
from kubewheel.client.transport import Request, Response

log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
LIFETIME = 3600  # seconds asked for
RENEW_AT = 0.8  # of the lifetime


class AccountTransport:
    """`aclose` leaves `http` open: all accounts share its connections."""

    def __init__(self, client: Client, http: Http, account: str) -> None:
        self._client, self._http, self._account = client, http, account
        self._token = ""
        self._renew_at = 0.0
        self._asking = asyncio.Lock()

    async def send(self, request: Request) -> Response:
        token = await self._bearer()
        request.headers["authorization"] = f"Bearer {token}"
        response = await self._http.send(request)
        if response.status == 401 and token == self._token:
            self._token = ""  # the account was made anew or the keys changed: the caller's retry asks for another
        return response

    async def aclose(self) -> None:
        return

    async def _bearer(self) -> str:
        loop = asyncio.get_running_loop()
        async with self._asking:
            if not self._token or loop.time() >= self._renew_at:
                self._token = await self._ask()
                self._renew_at = loop.time() + LIFETIME * RENEW_AT
            return self._token

    async def _ask(self) -> str:
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                   "spec": {"expirationSeconds": LIFETIME}}
        for last in (False, True):
            try:
                made = await self._client.create("serviceaccounts", request, namespace=NAMESPACE, name=self._account,
                                                 subresource="token")
                return str(made["status"]["token"])
            except errors.StatusError as e:
                if e.code != 404 or last:
                    raise
            await self._ensure_account()
        raise AssertionError("unreachable")

    async def _ensure_account(self) -> None:
        try:
            await self._client.create("serviceaccounts", {
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": self._account, "namespace": NAMESPACE}})
            log.info("made service account %s/%s", NAMESPACE, self._account)
        except errors.StatusError as e:
            if e.code != 409:  # somebody else was faster
                raise
