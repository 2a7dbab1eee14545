"""Links of a page that came through a proxy, rewritten so that they lead through it again. Pure.

In: a page, a function on URLs; or one URL. Out: the same with what needs it rewritten.
Called by: proxying.py. Source of the rule: upstream's proxy transport (which attributes of which elements; what is left
alone: other hosts, relative paths, scripts, styles, comments).
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

ATTRIBUTES = {
    "a": {"href"}, "applet": {"codebase"}, "area": {"href"}, "audio": {"src"}, "base": {"href"}, "blockquote": {"cite"},
    "body": {"background"}, "button": {"formaction"}, "command": {"icon"}, "del": {"cite"}, "embed": {"src"},
    "form": {"action"}, "frame": {"longdesc", "src"}, "head": {"profile"}, "html": {"manifest"},
    "iframe": {"longdesc", "src"}, "img": {"longdesc", "src", "usemap"}, "input": {"src", "usemap", "formaction"},
    "ins": {"cite"}, "link": {"href"}, "object": {"classid", "codebase", "data", "usemap"}, "q": {"cite"},
    "script": {"src"}, "source": {"src"}, "video": {"poster", "src"},
}
_RAW = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
_TOKEN = re.compile(r"<!--.*?(?:-->|\Z)|<(?P<name>[a-zA-Z][^\s/>]*)(?P<rest>(?:[^>\"']|\"[^\"]*\"|'[^']*')*)>", re.DOTALL)
_ATTRIBUTE = re.compile(r"""(?P<name>[^\s/>="']+)(?:\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^\s>"']+))?""")


def rewrite(page: str, change: Callable[[str], str]) -> str:
    out, at = [], 0
    while (token := _TOKEN.search(page, at)) is not None:
        out.append(page[at:token.start()])
        at = token.end()
        name = (token["name"] or "").lower()
        out.append(_tag(token, name, change) if name in ATTRIBUTES else token[0])
        if name in _RAW and not token[0].endswith("/>"):
            end = re.compile(rf"</{name}", re.IGNORECASE).search(page, at)
            stop = end.start() if end is not None else len(page)
            out.append(page[at:stop])
            at = stop
    return "".join([*out, page[at:]])


def _tag(token: re.Match[str], name: str, change: Callable[[str], str]) -> str:
    def one(attribute: re.Match[str]) -> str:
        value = attribute["value"]
        if value is None or attribute["name"].lower() not in ATTRIBUTES[name]:
            return attribute[0]
        text = html.unescape(value[1:-1] if value[0] in "\"'" else value)
        changed = change(text)
        return attribute[0] if changed == text else f'{attribute["name"]}="{html.escape(changed)}"'

    return f"<{token['name']}{_ATTRIBUTE.sub(one, token['rest'])}>"


def rewrite_url(url: str, *, prefix: str, source_host: str, request_host: str) -> str:
    """An absolute path of the backend's (or of the host the client asked) goes behind the prefix; other hosts and
    relative paths stay."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if (parts.netloc and parts.netloc not in (source_host, request_host)) or not parts.path.startswith("/"):
        return url
    scheme, netloc = (parts.scheme, parts.netloc) if parts.netloc == request_host else ("", "")
    path = parts.path
    if not path.startswith(prefix):
        path = clean(prefix + "/" + path) + ("/" if path.endswith("/") else "")
    return urlunsplit((scheme, netloc, path, parts.query, parts.fragment))


def clean(path: str) -> str:
    """Go's path.Join of one piece: no empty, `.` or `..` segments, no slash at the end ("" stays, "/" stays)."""
    if not path:
        return ""
    made = posixpath.normpath(path)
    return "/" + made.lstrip("/") if path.startswith("/") else made
