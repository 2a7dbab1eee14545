"""Images: pull policy, credentials, back-off, events; and their garbage collection.

In: pod and container. Out: the image as the runtime knows it; ImageError with the waiting reason.
Called by: pod_worker.py (ensure), kubelet.py (collect).
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import shutil
from typing import Any

from kubewheel.api import codec
from kubewheel.client.client import Client
from kubewheel.client.events import Recorder
from kubewheel.kubelet.backoff import Backoff
from kubewheel.kubelet.cri import Cri, CriError
from kubewheel.kubelet.options import Options
from kubewheel.kubelet.runtime.env import secret_bytes
from kubewheel.lib.clock import Clock

log = logging.getLogger(__name__)

Object = dict[str, Any]


class ImageError(Exception):
    """`reason` is the waiting reason; `retry` seconds to the next try."""

    def __init__(self, reason: str, message: str, *, retry: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry = retry


def registry_of(image: str) -> str:
    head = image.split("/", 1)[0]
    if "/" in image and ("." in head or ":" in head or head == "localhost"):
        return head
    return "docker.io"


PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
REFERENCE = re.compile(
    rf"(?:(?:{DOMAIN_PART}(?:\.{DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?{PATH_PART}(?:/{PATH_PART})*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?", re.ASCII)


def name_error(image: str) -> str:
    """What is wrong with a reference to an image, "" for a proper one (the grammar of the distribution specification,
    with Docker's short names)."""
    head, slash, rest = image.partition("/")
    has_domain = slash and ("." in head or ":" in head or head == "localhost" or head != head.lower())
    domain, path = (head, rest) if has_domain else ("docker.io", image)
    if domain == "docker.io" and "/" not in path:
        path = f"library/{path}"
    name = path.partition("@")[0] if ":" not in path else path[:path.index(":")].partition("@")[0]
    if name != name.lower():
        return f"invalid reference format: repository name ({name}) must be lowercase"
    return "" if REFERENCE.fullmatch(f"{domain}/{path}") else "invalid reference format"


def pull_policy(container: Object) -> str:
    if container.get("imagePullPolicy"):
        return container["imagePullPolicy"]
    image = container["image"]
    tag = image.rsplit("/", 1)[-1]
    return "Always" if "@" not in image and (":" not in tag or tag.endswith(":latest")) else "IfNotPresent"


def credentials(secrets: list[Object], image: str) -> list[Object]:
    """The CRI AuthConfigs that fit the image, the most specific first; [] means anonymous."""
    registry = registry_of(image)
    where = image if registry != "docker.io" else f"docker.io/{image}"
    found: list[tuple[int, Object]] = []
    for secret in secrets:
        data = secret.get("data") or {}
        if ".dockerconfigjson" in data:
            auths = (codec.loads(secret_bytes(data[".dockerconfigjson"])) or {}).get("auths") or {}
        elif ".dockercfg" in data:
            auths = codec.loads(secret_bytes(data[".dockercfg"])) or {}
        else:
            continue
        for server, entry in auths.items():
            prefix = server.removeprefix("https://").removeprefix("http://").rstrip("/")
            for suffix in ("/v1", "/v2"):
                prefix = prefix.removesuffix(suffix)
            if prefix == "index.docker.io":
                prefix = "docker.io"
            if _fits(prefix, where):
                found.append((len(prefix), _auth(entry)))
    return [auth for _, auth in sorted(found, key=lambda pair: -pair[0])]


def _fits(prefix: str, image: str) -> bool:
    want_host, _, want_path = prefix.partition("/")
    host, _, path = image.partition("/")
    if want_host.startswith("*."):
        if not host.endswith(want_host[1:]):
            return False
    elif want_host != host:
        return False
    return path.startswith(want_path)


def _auth(entry: Object) -> Object:
    username, password = entry.get("username", ""), entry.get("password", "")
    if not username and entry.get("auth"):
        username, _, password = base64.b64decode(entry["auth"]).decode(errors="replace").partition(":")
    # No server_address: the runtime takes it for a URL, and drops the credentials where it is a plain host.
    return {"username": username, "password": password, "identity_token": entry.get("identitytoken", "")}


class Images:
    def __init__(self, cri: Cri, client: Client, events: Recorder, options: Options, clock: Clock) -> None:
        self._cri = cri
        self._client = client
        self._events = events
        self._options = options
        self._clock = clock
        self._backoff = Backoff()
        self._errors: dict[str, tuple[str, float]] = {}  # image -> last error, when
        limit = 1 if options.serialize_image_pulls else options.max_parallel_image_pulls
        self._pulls = asyncio.Semaphore(limit) if limit else None
        self._used: dict[str, float] = {}  # image id -> last seen in use
        self._first_seen: dict[str, float] = {}

    async def ensure(self, pod: Object, container: Object, *, sandbox: Object | None = None,
                     field_path: str = "") -> Object:
        """The image's CRI status dict once it is on the node."""
        image, policy = container["image"], pull_policy(container)
        if wrong := name_error(image):
            message = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {wrong}'
            self._event(pod, "Warning", "InspectFailed", message, field_path)
            raise ImageError("InvalidImageName", message, retry=10)
        present = await self._cri.image_status(image)
        if present is not None and policy != "Always":
            self._event(pod, "Normal", "Pulled", f'Container image "{image}" already present on machine '
                        "and can be accessed by the pod", field_path)
            return present
        if policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            self._event(pod, "Warning", "ErrImageNeverPull", message, field_path)
            raise ImageError("ErrImageNeverPull", message, retry=10)
        key = f"{pod['metadata']['uid']}_{image}"
        now = self._clock.now()
        if key in self._errors:
            error, when = self._errors[key]
            left = self._backoff.remaining(key, when, now)
            if left > 0:
                message = f'Back-off pulling image "{image}"'
                self._event(pod, "Normal", "BackOff", message, field_path)
                raise ImageError("ImagePullBackOff", f"{message}: ErrImagePull: {error}", retry=left)
        await self._pull(pod, image, key, sandbox, field_path)
        found = await self._cri.image_status(image)
        if found is None:
            raise ImageError("ErrImagePull", f'image "{image}" is not there after it was pulled', retry=10)
        return found

    async def _pull(self, pod: Object, image: str, key: str, sandbox: Object | None, field_path: str) -> None:
        self._event(pod, "Normal", "Pulling", f'Pulling image "{image}"', field_path)
        asked = self._clock.now()
        if self._pulls is not None:
            await self._pulls.acquire()
        began = self._clock.now()
        try:
            await self._pull_with_any(pod, image, sandbox)
        except CriError as e:
            ended = self._clock.now()
            self._backoff.next(key, ended)
            self._errors[key] = (str(e), ended)
            self._event(pod, "Warning", "Failed", f'Failed to pull image "{image}": {e}', field_path)
            raise ImageError("ErrImagePull", str(e), retry=2) from e
        finally:
            if self._pulls is not None:
                self._pulls.release()
        self._errors.pop(key, None)
        self._backoff.reset(key)
        ended = self._clock.now()
        size = ((await self._cri.image_status(image)) or {}).get("size", 0)
        self._event(pod, "Normal", "Pulled", f'Successfully pulled image "{image}" in {_seconds(ended - began)} '
                    f"({_seconds(ended - asked)} including waiting). Image size: {size} bytes.", field_path)

    async def _pull_with_any(self, pod: Object, image: str, sandbox: Object | None) -> None:
        secrets = []
        for ref in pod["spec"].get("imagePullSecrets") or ():
            secret = await self._client.find("secrets", ref.get("name", ""), namespace=pod["metadata"]["namespace"])
            if secret is None:
                self._event(pod, "Warning", "FailedToRetrieveImagePullSecret",
                            f"Unable to retrieve some image pull secrets ({ref.get('name', '')}); attempting to pull "
                            "the image may not succeed.", "")
            else:
                secrets.append(secret)
        tries: list[Object | None] = [*credentials(secrets, image)] or [None]
        for i, auth in enumerate(tries):
            try:
                await self._cri.pull_image(image, auth=auth, sandbox=sandbox)
                return
            except CriError:
                if i == len(tries) - 1:
                    raise

    def _event(self, pod: Object, type_: str, reason: str, message: str, field_path: str) -> None:
        self._events.event(pod, type_, reason, message, field_path=field_path)

    # -- garbage ---------------------------------------------------------------------------------------------
    async def collect(self, in_use: set[str], *, everything: bool = False) -> int:
        """Removes images not in use, the longest unused first, until the disk is below the low threshold (or all of
        them). Bytes freed. `in_use`: image ids and references of all containers."""
        now = self._clock.now()
        images = await self._cri.list_images()
        for image in images:
            self._first_seen.setdefault(image["id"], now)
            if self._is_used(image, in_use):
                self._used[image["id"]] = now
        to_free = 0
        if not everything:
            to_free = await self._bytes_over()
            if to_free <= 0:
                return 0
        freed = 0
        idle = [i for i in images if not self._is_used(i, in_use) and not i.get("pinned")
                and (everything or now - self._first_seen[i["id"]] >= self._options.minimum_image_ttl_duration)]
        idle.sort(key=lambda i: self._used.get(i["id"], self._first_seen[i["id"]]))
        for image in idle:
            if not everything and freed >= to_free:
                break
            try:
                await self._cri.remove_image(image["id"])
                freed += image["size"]
            except CriError as e:
                log.warning("image %s not removed: %s", image["id"], e)
        return freed

    @staticmethod
    def _is_used(image: Object, in_use: set[str]) -> bool:
        return bool({image["id"], *image["repo_tags"], *image["repo_digests"]} & in_use)

    async def _bytes_over(self) -> int:
        systems = await self._cri.image_fs_info()
        if not systems:
            return 0
        usage = shutil.disk_usage(systems[0].get("fs_id", {}).get("mountpoint") or self._options.root_dir)
        if usage.used * 100 < usage.total * self._options.image_gc_high_threshold:
            return 0
        return usage.used - usage.total * self._options.image_gc_low_threshold // 100


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f}ms" if value < 1 else f"{value:.3f}".rstrip("0").rstrip(".") + "s"
