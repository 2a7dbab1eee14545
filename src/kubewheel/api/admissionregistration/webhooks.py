"""What validating and mutating webhook configurations share.

In: configurations. Out: defaults and FieldError lists. Called by: the two configurations' files.
"""

from __future__ import annotations

import urllib.parse

from kubewheel.api import columns, errors, names, shape, validation
from kubewheel.api.admissionregistration import expressions, match_rules
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object


def defaults(obj: Object, *, mutating: bool) -> None:
    for hook in obj.get("webhooks") or ():
        for key, value in (("failurePolicy", "Fail"), ("matchPolicy", "Equivalent"), ("timeoutSeconds", 10)):
            if hook.get(key) is None:
                hook[key] = value
        for key in ("namespaceSelector", "objectSelector"):
            if hook.get(key) is None:
                hook[key] = {}
        if mutating and hook.get("reinvocationPolicy") is None:
            hook["reinvocationPolicy"] = "Never"
        for rule in hook.get("rules") or ():
            if rule.get("scope") is None:
                rule["scope"] = "*"
        service = shape.struct(hook, "clientConfig").get("service")
        if service is not None and service.get("port") is None:
            service["port"] = 443


def validate(obj: Object, *, mutating: bool) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, hook in enumerate(obj.get("webhooks") or ()):
        where, name = f"webhooks[{i}]", hook.get("name") or ""
        out += _hook(hook, where, mutating=mutating)
        out += _review_versions(hook.get("admissionReviewVersions") or [], f"{where}.admissionReviewVersions")
        if name and name in seen:
            out.append(errors.field_duplicate(f"{where}.name", name))
        seen.add(name)
    return out


def _name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [errors.field_required(path)]
    if found := names.subdomain(name):
        return [errors.field_invalid(path, name, ",".join(found))]
    if name.count(".") < 2:
        return [errors.field_invalid(path, name, "should be a domain with at least three segments separated by dots")]
    return []


def _review_versions(versions: list[str], path: str) -> list[FieldError]:
    if not versions:
        return [errors.field_required(path, "must specify one of v1, v1beta1")]
    out: list[FieldError] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            out.append(errors.field_invalid(f"{path}[{i}]", version, "duplicate version"))
        else:
            out += validation.check(f"{path}[{i}]", version, names.label_1035(version))
    if not {"v1", "v1beta1"} & set(versions):
        out.append(errors.field_invalid(path, versions, "must include at least one of v1, v1beta1"))
    return out


def _hook(hook: Object, where: str, *, mutating: bool) -> list[FieldError]:
    out = _name(hook.get("name") or "", f"{where}.name")
    for i, rule in enumerate(hook.get("rules") or ()):
        out += match_rules.with_operations(rule, f"{where}.rules[{i}]")
    out += validation.one_of(hook.get("failurePolicy"), ("Fail", "Ignore"), f"{where}.failurePolicy", required=False)
    out += validation.one_of(hook.get("matchPolicy"), ("Equivalent", "Exact"), f"{where}.matchPolicy", required=False)
    effects = hook.get("sideEffects")
    if effects is None:
        out.append(errors.field_required(f"{where}.sideEffects", "must specify one of None, NoneOnDryRun"))
    elif effects not in ("None", "NoneOnDryRun"):
        out.append(errors.field_not_supported(f"{where}.sideEffects", effects, ("None", "NoneOnDryRun")))
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        out.append(errors.field_invalid(f"{where}.timeoutSeconds", seconds,
                                        "the timeout value must be between 1 and 30 seconds"))
    out += validation.validate_selector(hook.get("namespaceSelector"), f"{where}.namespaceSelector")
    out += validation.validate_selector(hook.get("objectSelector"), f"{where}.objectSelector")
    if mutating:
        out += validation.one_of(hook.get("reinvocationPolicy"), ("IfNeeded", "Never"),
                                 f"{where}.reinvocationPolicy", required=False)
    out += _client(hook.get("clientConfig") or {}, f"{where}.clientConfig")
    return out + match_rules.conditions(hook.get("matchConditions") or (), f"{where}.matchConditions",
                                        expressions.condition)


def _client(config: Object, path: str) -> list[FieldError]:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [errors.field_required(path, "exactly one of url or service is required")]
    if url is not None:
        return _url(url, f"{path}.url")
    service = service or {}
    out = [errors.field_required(f"{path}.service.{f}", f"service {f} is required")
           for f in ("name", "namespace") if not service.get(f)]
    if found := names.port(service.get("port") or 0):
        out.append(errors.field_invalid(f"{path}.service.port", service.get("port"),
                                        f"port is not valid: {','.join(found)}"))
    return out + _path(service.get("path") or "", f"{path}.service.path")


_FORM = "; desired format: https://host[/path]"


def _url(text: str, path: str) -> list[FieldError]:
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError as e:
        return [errors.field_required(path, f"url must be a valid URL: {e}{_FORM}")]
    out: list[FieldError] = []
    user, at, host = parts.netloc.rpartition("@")
    if parts.scheme != "https":
        out.append(errors.field_invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}"))
    if not host:
        out.append(errors.field_invalid(path, host, f"host must be specified{_FORM}"))
    if at:
        out.append(errors.field_invalid(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        out.append(errors.field_invalid(path, parts.fragment, "fragments are not permitted in the URL"))
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


COLUMNS = (
    columns.NAME,
    Column("Webhooks", lambda obj, now: len(obj.get("webhooks") or ()), type="integer",
           description="Webhooks indicates the number of webhooks registered in this configuration"),
    columns.AGE,
)
