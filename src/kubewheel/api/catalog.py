"""Every built-in resource, in one explicit tuple, in the order discovery lists them.

In: the resource files. Out: look-ups. Called by: client (names to paths), apiserver (dispatch, discovery).
"""

from __future__ import annotations

from functools import cache

from kubewheel.api.admissionregistration import (
    mutatingadmissionpolicy,
    mutatingadmissionpolicybinding,
    mutatingwebhookconfiguration,
    validatingadmissionpolicy,
    validatingadmissionpolicybinding,
    validatingwebhookconfiguration,
)
from kubewheel.api.apiextensions import customresourcedefinition
from kubewheel.api.apiregistration import apiservice
from kubewheel.api.apps import controllerrevision, daemonset, deployment, replicaset, statefulset
from kubewheel.api.authentication import selfsubjectreview, tokenreview
from kubewheel.api.authorization import (
    localsubjectaccessreview,
    selfsubjectaccessreview,
    selfsubjectrulesreview,
    subjectaccessreview,
)
from kubewheel.api.autoscaling import horizontalpodautoscaler
from kubewheel.api.batch import cronjob, job
from kubewheel.api.certificates import certificatesigningrequest, clustertrustbundle, podcertificaterequest
from kubewheel.api.coordination import lease
from kubewheel.api.core import (
    binding,
    componentstatus,
    configmap,
    endpoints,
    event,
    limitrange,
    namespace,
    node,
    persistentvolume,
    persistentvolumeclaim,
    pod,
    podtemplate,
    replicationcontroller,
    resourcequota,
    secret,
    service,
    serviceaccount,
)
from kubewheel.api.discovery import endpointslice
from kubewheel.api.dra import (
    deviceclass,
    devicetaintrule,
    resourceclaim,
    resourceclaimtemplate,
    resourceslice,
)
from kubewheel.api.events import event as events_event
from kubewheel.api.flowcontrol import flowschema, prioritylevelconfiguration
from kubewheel.api.networking import ingress, ingressclass, ipaddress, networkpolicy, servicecidr
from kubewheel.api.node import runtimeclass
from kubewheel.api.policy import poddisruptionbudget
from kubewheel.api.rbac import clusterrole, clusterrolebinding, role, rolebinding
from kubewheel.api.resource import Gvr, Resource
from kubewheel.api.scheduling import priorityclass
from kubewheel.api.storage import (
    csidriver,
    csinode,
    csistoragecapacity,
    storageclass,
    volumeattachment,
    volumeattributesclass,
)
from kubewheel.api.storagemigration import storageversionmigration

RESOURCES: tuple[Resource, ...] = (
    pod.RESOURCE,
    service.RESOURCE,
    endpoints.RESOURCE,
    node.RESOURCE,
    namespace.RESOURCE,
    configmap.RESOURCE,
    secret.RESOURCE,
    serviceaccount.RESOURCE,
    persistentvolume.RESOURCE,
    persistentvolumeclaim.RESOURCE,
    replicationcontroller.RESOURCE,
    podtemplate.RESOURCE,
    event.RESOURCE,
    resourcequota.RESOURCE,
    limitrange.RESOURCE,
    binding.RESOURCE,
    componentstatus.RESOURCE,
    apiservice.RESOURCE,
    controllerrevision.RESOURCE,
    daemonset.RESOURCE,
    deployment.RESOURCE,
    replicaset.RESOURCE,
    statefulset.RESOURCE,
    events_event.RESOURCE,
    selfsubjectreview.RESOURCE,
    tokenreview.RESOURCE,
    localsubjectaccessreview.RESOURCE,
    selfsubjectaccessreview.RESOURCE,
    selfsubjectrulesreview.RESOURCE,
    subjectaccessreview.RESOURCE,
    horizontalpodautoscaler.RESOURCE,
    horizontalpodautoscaler.RESOURCE_V1,
    cronjob.RESOURCE,
    job.RESOURCE,
    certificatesigningrequest.RESOURCE,
    clustertrustbundle.RESOURCE,
    podcertificaterequest.RESOURCE,
    ingressclass.RESOURCE,
    ingress.RESOURCE,
    ipaddress.RESOURCE,
    networkpolicy.RESOURCE,
    servicecidr.RESOURCE,
    poddisruptionbudget.RESOURCE,
    clusterrolebinding.RESOURCE,
    clusterrole.RESOURCE,
    rolebinding.RESOURCE,
    role.RESOURCE,
    csidriver.RESOURCE,
    csinode.RESOURCE,
    csistoragecapacity.RESOURCE,
    storageclass.RESOURCE,
    volumeattachment.RESOURCE,
    volumeattributesclass.RESOURCE,
    mutatingadmissionpolicy.RESOURCE,
    mutatingadmissionpolicybinding.RESOURCE,
    mutatingwebhookconfiguration.RESOURCE,
    validatingadmissionpolicy.RESOURCE,
    validatingadmissionpolicybinding.RESOURCE,
    validatingwebhookconfiguration.RESOURCE,
    customresourcedefinition.RESOURCE,
    priorityclass.RESOURCE,
    lease.RESOURCE,
    runtimeclass.RESOURCE,
    endpointslice.RESOURCE,
    flowschema.RESOURCE,
    prioritylevelconfiguration.RESOURCE,
    deviceclass.RESOURCE,
    devicetaintrule.RESOURCE,
    resourceclaim.RESOURCE,
    resourceclaimtemplate.RESOURCE,
    resourceslice.RESOURCE,
    storageversionmigration.RESOURCE,
)


@cache
def _by_gvr() -> dict[Gvr, Resource]:
    return {r.gvr: r for r in RESOURCES}


@cache
def _preferred() -> dict[str, Gvr]:
    """"pods", "deployments.apps" -> the first listed (preferred) version."""
    out: dict[str, Gvr] = {}
    for r in RESOURCES:
        out.setdefault(r.qualified, r.gvr)
    return out


def lookup(gvr: Gvr) -> Resource | None:
    return _by_gvr().get(gvr)


def gvr(name: str) -> Gvr:
    """The preferred version of "pods" or "deployments.apps". KeyError for what is not built in."""
    return _preferred()[name]


def resource(name: str) -> Resource:
    return _by_gvr()[gvr(name)]
