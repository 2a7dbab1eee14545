"""clientConfig: where a webhook is, as admission's configurations and CRDs' conversions say it.

In: a clientConfig and where it stands. Out: FieldErrors with upstream's words. Called by: admissionregistration/webhooks.py,
apiextensions/definition.py.
"""

from __future__ import annotations

import base64
import binascii
import urllib.parse
from typing import Any

from kubewheel.api import errors, go_urls, names
from kubewheel.api.errors import FieldError

NO_CA = "unable to load root certificates: unable to parse bytes as PEM block"
_FORM = "; desired format: https://host[/path]"


def check(config: dict[str, Any], path: str) -> list[FieldError]:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [errors.field_required(path, "exactly one of url or service is required")]
    return _url(url, f"{path}.url") if url is not None else _service(service or {}, f"{path}.service")


def _service(service: dict[str, Any], path: str) -> list[FieldError]:
    # Upstream's callers hand the two over in each other's place: what is said of one is said at the other.
    out = [errors.field_required(f"{path}.{at}") for field, at in (("namespace", "name"), ("name", "namespace"))
           if not service.get(field)]
    if found := names.port(service.get("port") or 0):
        out.append(errors.field_invalid(f"{path}.port", service.get("port") or 0, f"port is not valid: {', '.join(found)}"))
    return out + _path(service.get("path") or "", f"{path}.path")


def _url(text: str, path: str) -> list[FieldError]:
    if why := go_urls.unreadable(text):
        return [errors.field_required(path, f"url must be a valid URL: parse {errors.quoted(text)}: {why}{_FORM}")]
    parts, out = urllib.parse.urlsplit(text), []
    user, at, host = parts.netloc.rpartition("@")
    if parts.scheme != "https":
        out.append(errors.field_invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}"))
    if not host:
        out.append(errors.field_invalid(path, host, f"host must be specified{_FORM}"))
    if at:
        out.append(errors.field_invalid(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        out.append(errors.field_invalid(path, urllib.parse.unquote(parts.fragment), "fragments are not permitted in the URL"))
    if parts.query:
        out.append(errors.field_invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return out


def _path(text: str, path: str) -> list[FieldError]:
    if text in ("", "/"):
        return []
    if text == "//":
        return [errors.field_invalid(path, text, "segment[0] may not be empty")]
    out = [] if text.startswith("/") else [errors.field_invalid(path, text, "must start with a '/'")]
    for i, step in enumerate(text[1:].removesuffix("/").split("/")):
        found = names.subdomain(step) if step else []
        if not step:
            out.append(errors.field_invalid(path, text, f"segment[{i}] may not be empty"))
        out += [errors.field_invalid(path, text, f"segment[{i}]: {message}") for message in found]
    return out


def is_ca(bundle: str) -> bool:
    """Is there a certificate in the (base64) bundle?"""
    try:
        return b"-----BEGIN CERTIFICATE-----" in base64.b64decode(bundle)
    except binascii.Error:
        return False
