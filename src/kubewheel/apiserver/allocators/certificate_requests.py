"""A CertificateSigningRequest says who asked: the server writes username, uid, groups, extra."""

from __future__ import annotations

from kubewheel.api.resource import Object
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.hooks import BaseHook


class RequesterHook(BaseHook):
    async def before_create(self, call: Call, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        for field in ("uid", "extra"):
            spec.pop(field, None)
        spec["username"] = call.user.name
        spec["groups"] = list(call.user.groups)
        if call.user.uid:
            spec["uid"] = call.user.uid
        if call.user.extra:
            spec["extra"] = dict(call.user.extra)
