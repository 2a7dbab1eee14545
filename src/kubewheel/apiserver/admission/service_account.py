"""ServiceAccount: a pod runs as an account, and gets its token mounted.

In: new pods. Out: spec.serviceAccountName, the kube-api-access volume and its mounts, imagePullSecrets; 403 for an
account that is not there.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.admission import pods
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

DEFAULT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
ENFORCE = "kubernetes.io/enforce-mountable-secrets"
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class ServiceAccount(AdmissionPlugin):
    name = "ServiceAccount"
    resources = frozenset({"pods"})
    subresources = frozenset({"", "ephemeralcontainers"})

    async def mutate(self, attributes: Attributes) -> None:
        if not pods.is_pod_create(attributes):
            return
        pod = attributes.obj or {}
        if pods.is_mirror(pod):
            return  # validate refuses one that names an account
        spec = pod.setdefault("spec", {})
        name = spec.get("serviceAccountName") or DEFAULT
        spec["serviceAccountName"] = name
        spec.setdefault("serviceAccount", name)  # the deprecated twin is kept equal by defaulting upstream
        spec["serviceAccount"] = name
        account = await self._account(attributes, name)
        if _should_mount(spec, account):
            mount_token(spec, self._volume_name(spec))
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(s) for s in account["imagePullSecrets"]]

    async def validate(self, attributes: Attributes) -> None:
        if not pods.is_pod(attributes) or attributes.obj is None:
            return
        if attributes.operation == "UPDATE" and attributes.subresource == "ephemeralcontainers":
            await self._enforce_secrets(attributes, attributes.obj)
            return
        if not pods.is_pod_create(attributes):
            return
        pod = attributes.obj
        spec = pod.get("spec") or {}
        if pods.is_mirror(pod):
            self._refuse_mirror(attributes, spec)
            return
        await self._account(attributes, spec.get("serviceAccountName") or DEFAULT)
        await self._enforce_secrets(attributes, pod)

    def _refuse_mirror(self, attributes: Attributes, spec: Object) -> None:
        if spec.get("serviceAccountName"):
            raise _forbidden(attributes, "a mirror pod may not reference service accounts")
        for volume in spec.get("volumes") or ():
            if "secret" in volume:
                raise _forbidden(attributes, "a mirror pod may not reference secrets")
            for source in (volume.get("projected") or {}).get("sources") or ():
                if "serviceAccountToken" in source:
                    raise _forbidden(attributes, "a mirror pod may not use ServiceAccountToken volume projections")

    async def _account(self, attributes: Attributes, name: str) -> Object:
        cache = self.context.caches.get("serviceaccounts")
        found = cache.get(attributes.namespace, name) if cache.is_synced() else None
        if found is None:
            found = await self.context.client.find("serviceaccounts", name, namespace=attributes.namespace)
        if found is None:
            raise _forbidden(attributes, f'error looking up service account {attributes.namespace}/{name}: '
                                         f'serviceaccount "{name}" not found')
        return found

    async def _enforce_secrets(self, attributes: Attributes, pod: Object) -> None:
        """The account's own list of secrets is all its pods may mount, where its annotation says so."""
        spec = pod.get("spec") or {}
        account = await self._account(attributes, spec.get("serviceAccountName") or DEFAULT)
        if (account["metadata"].get("annotations") or {}).get(ENFORCE) != "true":
            return
        mountable = {s.get("name") for s in account.get("secrets") or ()}
        name = account["metadata"]["name"]
        for volume in spec.get("volumes") or ():
            secret = (volume.get("secret") or {}).get("secretName")
            if secret and secret not in mountable:
                raise _forbidden(attributes, f'volume with secret.secretName="{secret}" is not allowed because service '
                                             f"account {name} does not reference that secret")
        for container in pods.containers(spec, ephemeral=True):
            for variable in container.get("env") or ():
                secret = ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
                if secret and secret not in mountable:
                    raise _forbidden(attributes, f"container {container['name']} with envVar {variable['name']} referencing "
                                                 f'secret.secretName="{secret}" is not allowed because service account '
                                                 f"{name} does not reference that secret")

    def _volume_name(self, spec: Object) -> str:
        for volume in spec.get("volumes") or ():
            if volume["name"].startswith(VOLUME_PREFIX) and _is_token_volume(volume):
                return volume["name"]
        return VOLUME_PREFIX + "".join(self.context.random.choices(SUFFIX_ALPHABET, k=5))


def _forbidden(attributes: Attributes, why: str) -> errors.StatusError:
    return errors.forbidden("pods", attributes.name, why)


def _should_mount(spec: Object, account: Object) -> bool:
    """The pod's word counts first, then the account's; without either the token is mounted."""
    if spec.get("automountServiceAccountToken") is not None:
        return bool(spec["automountServiceAccountToken"])
    if account.get("automountServiceAccountToken") is not None:
        return bool(account["automountServiceAccountToken"])
    return True


def _is_token_volume(volume: Object) -> bool:
    return any("serviceAccountToken" in s for s in (volume.get("projected") or {}).get("sources") or ())


def token_volume(name: str) -> Object:
    return {"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {
            "apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}}


def mount_token(spec: Object, volume_name: str) -> None:
    """Mounts the token wherever nothing is mounted at its path; adds the volume if a mount needs it. In place."""
    needed = False
    for container in pods.containers(spec):
        mounts = container.get("volumeMounts") or []
        if any(m.get("mountPath") == MOUNT_PATH for m in mounts):
            continue
        container["volumeMounts"] = [*mounts, {"name": volume_name, "readOnly": True, "mountPath": MOUNT_PATH}]
        needed = True
    if needed and not any(v["name"] == volume_name for v in spec.get("volumes") or ()):
        spec["volumes"] = [*(spec.get("volumes") or ()), token_volume(volume_name)]
