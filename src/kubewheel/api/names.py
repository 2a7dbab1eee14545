"""What names, label keys and values may look like, with upstream's words for what they may not.

In: texts. Out: lists of messages, empty for a good text. Called by: validation.py, the resource files, selectors.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from kubewheel.api import addresses

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = "(" + _QUALIFIED + ")?"
_KEY = "[-._a-zA-Z0-9]+"
_is_label = re.compile(_LABEL, re.ASCII).fullmatch
_is_subdomain = re.compile(SUBDOMAIN, re.ASCII).fullmatch
_is_1035 = re.compile(_LABEL_1035, re.ASCII).fullmatch
_is_qualified = re.compile(_QUALIFIED, re.ASCII).fullmatch
_is_value = re.compile(_VALUE, re.ASCII).fullmatch
_is_key = re.compile(_KEY, re.ASCII).fullmatch
_is_env = re.compile("[ -<>-~]+").fullmatch

LABEL_TEXT = ("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
              "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
              f"'{_LABEL}')")
SUBDOMAIN_TEXT = ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                  "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation "
                  f"is '{SUBDOMAIN}')")
LABEL_1035_TEXT = ("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                   "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
                   f"regex used for validation is '{_LABEL_1035}')")
_QUALIFIED_RULE = ("must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                   "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation "
                   f"is '{_QUALIFIED}')")
VALUE_TEXT = ("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
              "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
              f"for validation is '{_VALUE}')")
KEY_TEXT = ("a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            f"'KEY_NAME',  or 'key-name', regex used for validation is '{_KEY}')")
ENV_TEXT = "a valid environment variable name must consist only of printable ASCII characters other than '='"
PORT_TEXT = "must be between 1 and 65535, inclusive"


def max_len(limit: int) -> str:
    return f"must be no more than {limit} bytes"


@lru_cache(maxsize=8192)
def _checked(text: str, rule: str) -> tuple[str, ...]:
    limit, test, message = {
        "subdomain": (253, _is_subdomain, SUBDOMAIN_TEXT), "label": (63, _is_label, LABEL_TEXT),
        "label-1035": (63, _is_1035, LABEL_1035_TEXT)}[rule]
    out = []
    if len(text) > limit:
        out.append("must be no more than 63 characters" if rule == "label-1035" else max_len(limit))
    if not test(text):
        # One that would do as a subdomain has dots, or is long.
        out.append("must not contain dots" if rule == "label" and _is_subdomain(text) else message)
    return tuple(out)


def subdomain(text: str) -> list[str]:
    return list(_checked(text, "subdomain"))


_is_underscored = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*", re.ASCII).fullmatch
UNDERSCORED_TEXT = ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
                    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
                    "validation is '[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')")


def subdomain_with_underscore(text: str) -> list[str]:
    """A search path of a resolver."""
    out = [max_len(253)] if len(text) > 253 else []
    return out if _is_underscored(text) else [*out, UNDERSCORED_TEXT]


def as_prefix(text: str) -> str:
    """A name to which something is added later may end in a dash: what upstream looks at in its place."""
    return text[:-2] + "a" if len(text) > 1 and text.endswith("-") else text


def label(text: str) -> list[str]:
    return list(_checked(text, "label"))


def label_1035(text: str) -> list[str]:
    return list(_checked(text, "label-1035"))


@lru_cache(maxsize=8192)
def _qualified(text: str) -> tuple[str, ...]:
    head, slash, name = text.rpartition("/")
    out: list[str] = []
    if slash:
        if "/" in head:
            return (f"a valid label key {_QUALIFIED_RULE} with an optional DNS subdomain prefix and '/' "
                    "(e.g. 'example.com/MyName')",)
        if not head:
            out.append("prefix part must be non-empty")
        else:
            out += [f"prefix part {m}" for m in subdomain(head)]
    if not name:
        out.append("name part must be non-empty")
    elif len(name) > 63:
        out.append("name part " + max_len(63))
    if not _is_qualified(name):
        out.append("name part " + _QUALIFIED_RULE)
    return tuple(out)


def qualified(text: str) -> list[str]:
    """Label and annotation keys, finalizers, condition types, resource names."""
    return list(_qualified(text))


@lru_cache(maxsize=8192)
def _label_value(text: str) -> tuple[str, ...]:
    out = []
    if len(text) > 63:
        out.append(max_len(63))
    if not _is_value(text):
        out.append(VALUE_TEXT)
    return tuple(out)


def label_value(text: str) -> list[str]:
    return list(_label_value(text))


def config_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret."""
    out = []
    if len(text) > 253:
        out.append(max_len(253))
    if not _is_key(text):
        out.append(KEY_TEXT)
    if text == ".":
        out.append("must not be '.'")
    elif text == "..":
        out.append("must not be '..'")
    elif text.startswith(".."):
        out.append("must not start with '..'")
    return out


def env_name(text: str) -> list[str]:
    return [] if _is_env(text) else [ENV_TEXT]


def path_segment(text: str) -> list[str]:
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{c}'" for c in "/%" if c in text]


def port(number: int) -> list[str]:
    return [] if 1 <= number <= 65535 else [PORT_TEXT]


def port_name(text: str) -> list[str]:
    """IANA service names: container port names, named target ports."""
    return list(_port_name(text))


@lru_cache(maxsize=1024)
def _port_name(text: str) -> tuple[str, ...]:
    out = []
    if len(text) > 15:
        out.append(max_len(15))
    if not re.fullmatch("[-a-z0-9]+", text):
        out.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        out.append("must contain at least one letter (a-z)")
    if "--" in text:
        out.append("must not contain consecutive hyphens")
    if text and (text[0] == "-" or text[-1] == "-"):
        out.append("must not begin or end with a hyphen")
    return tuple(out)


def ip(text: str) -> list[str]:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def cidr(text: str) -> list[str]:
    try:
        if "/" not in text:
            raise ValueError(text)
        ipaddress.ip_interface(text)
    except ValueError:
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    return []


RULES = {"": subdomain, "subdomain": subdomain, "label": label, "label-1035": label_1035,
         "path-segment": path_segment, "ip": addresses.ip, "any": lambda text: []}
