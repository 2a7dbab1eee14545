# ruff: noqa: E501 - a table, one message a line
"""CRI v1 (runtime.v1) as a table: message fields and their wire numbers, and the methods of the two services.

In: nothing. Out: `message_class(name)` made at run time from descriptors, `METHODS`. Called by: cri.py.

Only what the kubelet sends or reads is listed; unknown fields of a newer runtime are skipped by protobuf. Enums are
listed as int32, which is the same on the wire; their values are constants in cri.py.

A line is `Message field=number:type …`; `*` after the type means repeated; `map` is map<string,string>.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "runtime.v1"

_MESSAGES = """
VersionRequest version=1:string
VersionResponse version=1:string runtime_name=2:string runtime_version=3:string runtime_api_version=4:string
DNSConfig servers=1:string* searches=2:string* options=3:string*
PortMapping protocol=1:int32 container_port=2:int32 host_port=3:int32 host_ip=4:string
IDMapping host_id=1:uint32 container_id=2:uint32 length=3:uint32
Mount container_path=1:string host_path=2:string readonly=3:bool selinux_relabel=4:bool propagation=5:int32 uidMappings=6:IDMapping* gidMappings=7:IDMapping* recursive_read_only=8:bool image=9:ImageSpec image_sub_path=10:string
UserNamespace mode=1:int32 uids=2:IDMapping* gids=3:IDMapping*
NamespaceOption network=1:int32 pid=2:int32 ipc=3:int32 target_id=4:string userns_options=5:UserNamespace
Int64Value value=1:int64
UInt64Value value=1:uint64
SELinuxOption user=1:string role=2:string type=3:string level=4:string
SecurityProfile profile_type=1:int32 localhost_ref=2:string
LinuxSandboxSecurityContext namespace_options=1:NamespaceOption selinux_options=2:SELinuxOption run_as_user=3:Int64Value readonly_rootfs=4:bool supplemental_groups=5:int64* privileged=6:bool seccomp_profile_path=7:string run_as_group=8:Int64Value seccomp=9:SecurityProfile apparmor=10:SecurityProfile supplemental_groups_policy=11:int32
LinuxPodSandboxConfig cgroup_parent=1:string security_context=2:LinuxSandboxSecurityContext sysctls=3:map overhead=4:LinuxContainerResources resources=5:LinuxContainerResources
PodSandboxMetadata name=1:string uid=2:string namespace=3:string attempt=4:uint32
PodSandboxConfig metadata=1:PodSandboxMetadata hostname=2:string log_directory=3:string dns_config=4:DNSConfig port_mappings=5:PortMapping* labels=6:map annotations=7:map linux=8:LinuxPodSandboxConfig
RunPodSandboxRequest config=1:PodSandboxConfig runtime_handler=2:string
RunPodSandboxResponse pod_sandbox_id=1:string
StopPodSandboxRequest pod_sandbox_id=1:string
StopPodSandboxResponse
RemovePodSandboxRequest pod_sandbox_id=1:string
RemovePodSandboxResponse
PodSandboxStatusRequest pod_sandbox_id=1:string verbose=2:bool
PodIP ip=1:string
PodSandboxNetworkStatus ip=1:string additional_ips=2:PodIP*
Namespace options=2:NamespaceOption
LinuxPodSandboxStatus namespaces=1:Namespace
PodSandboxStatus id=1:string metadata=2:PodSandboxMetadata state=3:int32 created_at=4:int64 network=5:PodSandboxNetworkStatus linux=6:LinuxPodSandboxStatus labels=7:map annotations=8:map runtime_handler=9:string
PodSandboxStatusResponse status=1:PodSandboxStatus info=2:map containers_statuses=3:ContainerStatus* timestamp=4:int64
PodSandboxStateValue state=1:int32
PodSandboxFilter id=1:string state=2:PodSandboxStateValue label_selector=3:map
ListPodSandboxRequest filter=1:PodSandboxFilter
PodSandbox id=1:string metadata=2:PodSandboxMetadata state=3:int32 created_at=4:int64 labels=5:map annotations=6:map runtime_handler=7:string
ListPodSandboxResponse items=1:PodSandbox*
ImageSpec image=1:string annotations=2:map user_specified_image=18:string runtime_handler=19:string image_ref=20:string
KeyValue key=1:string value=2:string
HugepageLimit page_size=1:string limit=2:uint64
LinuxContainerResources cpu_period=1:int64 cpu_quota=2:int64 cpu_shares=3:int64 memory_limit_in_bytes=4:int64 oom_score_adj=5:int64 cpuset_cpus=6:string cpuset_mems=7:string hugepage_limits=8:HugepageLimit* unified=9:map memory_swap_limit_in_bytes=10:int64
Capability add_capabilities=1:string* drop_capabilities=2:string* add_ambient_capabilities=3:string*
LinuxContainerSecurityContext capabilities=1:Capability privileged=2:bool namespace_options=3:NamespaceOption selinux_options=4:SELinuxOption run_as_user=5:Int64Value run_as_username=6:string readonly_rootfs=7:bool supplemental_groups=8:int64* apparmor_profile=9:string seccomp_profile_path=10:string no_new_privs=11:bool run_as_group=12:Int64Value masked_paths=13:string* readonly_paths=14:string* seccomp=15:SecurityProfile apparmor=16:SecurityProfile supplemental_groups_policy=17:int32
LinuxContainerConfig resources=1:LinuxContainerResources security_context=2:LinuxContainerSecurityContext
LinuxContainerUser uid=1:int64 gid=2:int64 supplemental_groups=3:int64*
ContainerUser linux=1:LinuxContainerUser
ContainerMetadata name=1:string attempt=2:uint32
Device container_path=1:string host_path=2:string permissions=3:string
CDIDevice name=1:string
ContainerConfig metadata=1:ContainerMetadata image=2:ImageSpec command=3:string* args=4:string* working_dir=5:string envs=6:KeyValue* mounts=7:Mount* devices=8:Device* labels=9:map annotations=10:map log_path=11:string stdin=12:bool stdin_once=13:bool tty=14:bool linux=15:LinuxContainerConfig CDI_devices=17:CDIDevice* stop_signal=18:int32
CreateContainerRequest pod_sandbox_id=1:string config=2:ContainerConfig sandbox_config=3:PodSandboxConfig
CreateContainerResponse container_id=1:string
StartContainerRequest container_id=1:string
StartContainerResponse
StopContainerRequest container_id=1:string timeout=2:int64
StopContainerResponse
RemoveContainerRequest container_id=1:string
RemoveContainerResponse
ContainerStateValue state=1:int32
ContainerFilter id=1:string state=2:ContainerStateValue pod_sandbox_id=3:string label_selector=4:map
ListContainersRequest filter=1:ContainerFilter
Container id=1:string pod_sandbox_id=2:string metadata=3:ContainerMetadata image=4:ImageSpec image_ref=5:string state=6:int32 created_at=7:int64 labels=8:map annotations=9:map image_id=10:string
ListContainersResponse containers=1:Container*
ContainerStatusRequest container_id=1:string verbose=2:bool
ContainerResources linux=1:LinuxContainerResources
ContainerStatus id=1:string metadata=2:ContainerMetadata state=3:int32 created_at=4:int64 started_at=5:int64 finished_at=6:int64 exit_code=7:int32 image=8:ImageSpec image_ref=9:string reason=10:string message=11:string labels=12:map annotations=13:map mounts=14:Mount* log_path=15:string resources=16:ContainerResources image_id=17:string user=18:ContainerUser stop_signal=19:int32
ContainerStatusResponse status=1:ContainerStatus info=2:map
UpdateContainerResourcesRequest container_id=1:string linux=2:LinuxContainerResources annotations=4:map
UpdateContainerResourcesResponse
ExecSyncRequest container_id=1:string cmd=2:string* timeout=3:int64
ExecSyncResponse stdout=1:bytes stderr=2:bytes exit_code=3:int32
ExecRequest container_id=1:string cmd=2:string* tty=3:bool stdin=4:bool stdout=5:bool stderr=6:bool
ExecResponse url=1:string
AttachRequest container_id=1:string stdin=2:bool tty=3:bool stdout=4:bool stderr=5:bool
AttachResponse url=1:string
PortForwardRequest pod_sandbox_id=1:string port=2:int32*
PortForwardResponse url=1:string
ImageFilter image=1:ImageSpec
ListImagesRequest filter=1:ImageFilter
Image id=1:string repo_tags=2:string* repo_digests=3:string* size=4:uint64 uid=5:Int64Value username=6:string spec=7:ImageSpec pinned=8:bool
ListImagesResponse images=1:Image*
ImageStatusRequest image=1:ImageSpec verbose=2:bool
ImageStatusResponse image=1:Image info=2:map
AuthConfig username=1:string password=2:string auth=3:string server_address=4:string identity_token=5:string registry_token=6:string
PullImageRequest image=1:ImageSpec auth=2:AuthConfig sandbox_config=3:PodSandboxConfig
PullImageResponse image_ref=1:string
RemoveImageRequest image=1:ImageSpec
RemoveImageResponse
NetworkConfig pod_cidr=1:string
RuntimeConfig network_config=1:NetworkConfig
UpdateRuntimeConfigRequest runtime_config=1:RuntimeConfig
UpdateRuntimeConfigResponse
RuntimeCondition type=1:string status=2:bool reason=3:string message=4:string
RuntimeStatus conditions=1:RuntimeCondition*
StatusRequest verbose=1:bool
RuntimeHandlerFeatures recursive_read_only_mounts=1:bool user_namespaces=2:bool
RuntimeHandler name=1:string features=2:RuntimeHandlerFeatures
RuntimeFeatures supplemental_groups_policy=1:bool
StatusResponse status=1:RuntimeStatus info=2:map runtime_handlers=3:RuntimeHandler* features=4:RuntimeFeatures
ImageFsInfoRequest
FilesystemIdentifier mountpoint=1:string
FilesystemUsage timestamp=1:int64 fs_id=2:FilesystemIdentifier used_bytes=3:UInt64Value inodes_used=4:UInt64Value
ImageFsInfoResponse image_filesystems=1:FilesystemUsage* container_filesystems=2:FilesystemUsage*
ContainerAttributes id=1:string metadata=2:ContainerMetadata labels=3:map annotations=4:map
CpuUsage timestamp=1:int64 usage_core_nano_seconds=2:UInt64Value usage_nano_cores=3:UInt64Value
MemoryUsage timestamp=1:int64 working_set_bytes=2:UInt64Value available_bytes=3:UInt64Value usage_bytes=4:UInt64Value rss_bytes=5:UInt64Value page_faults=6:UInt64Value major_page_faults=7:UInt64Value
ContainerStats attributes=1:ContainerAttributes cpu=2:CpuUsage memory=3:MemoryUsage writable_layer=4:FilesystemUsage
ContainerStatsFilter id=1:string pod_sandbox_id=2:string label_selector=3:map
ListContainerStatsRequest filter=1:ContainerStatsFilter
ListContainerStatsResponse stats=1:ContainerStats*
ReopenContainerLogRequest container_id=1:string
ReopenContainerLogResponse
GetEventsRequest
ContainerEventResponse container_id=1:string container_event_type=2:int32 created_at=3:int64 pod_sandbox_status=4:PodSandboxStatus containers_statuses=5:ContainerStatus*
"""

# method -> (service, request message, response message)
METHODS: dict[str, tuple[str, str, str]] = {
    name: (service, f"{name}Request", f"{name}Response")
    for service, names in (
        ("RuntimeService", (
            "Version", "RunPodSandbox", "StopPodSandbox", "RemovePodSandbox", "PodSandboxStatus", "ListPodSandbox",
            "CreateContainer", "StartContainer", "StopContainer", "RemoveContainer", "ListContainers",
            "ContainerStatus", "UpdateContainerResources", "ReopenContainerLog", "ExecSync", "Exec", "Attach",
            "PortForward", "ListContainerStats", "UpdateRuntimeConfig", "Status")),
        ("ImageService", ("ListImages", "ImageStatus", "PullImage", "RemoveImage", "ImageFsInfo")),
    )
    for name in names
}

_SCALARS = {name: getattr(descriptor_pb2.FieldDescriptorProto, "TYPE_" + name.upper())
            for name in ("string", "bytes", "bool", "int32", "int64", "uint32", "uint64")}


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="runtime/v1/api.proto", package=_PACKAGE, syntax="proto3")
    for line in _MESSAGES.strip().splitlines():
        name, *fields = line.split()
        message = file.message_type.add(name=name)
        for item in fields:
            _add_field(message, item)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add_field(message: Any, item: str) -> None:
    head, type_ = item.split(":")
    name, number = head.split("=")
    repeated = type_.endswith("*")
    type_ = type_.rstrip("*")
    kind = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(name=name, number=int(number),
                              label=kind.LABEL_REPEATED if repeated or type_ == "map" else kind.LABEL_OPTIONAL)
    if type_ in _SCALARS:
        field.type = _SCALARS[type_]
        return
    field.type = kind.TYPE_MESSAGE
    if type_ != "map":
        field.type_name = f".{_PACKAGE}.{type_}"
        return
    entry_name = "".join(part.capitalize() for part in name.split("_")) + "Entry"
    entry = message.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    for n, key in ((1, "key"), (2, "value")):
        entry.field.add(name=key, number=n, label=kind.LABEL_OPTIONAL, type=_SCALARS["string"])
    field.type_name = f".{_PACKAGE}.{message.name}.{entry_name}"


@cache
def message_class(name: str) -> Any:
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


def to_message(name: str, value: dict[str, Any]) -> Any:
    """A message from a dict; keys are the proto's field names. ValueError for an unknown key."""
    message = message_class(name)()
    _fill(message, value)
    return message


def _fill(message: Any, value: dict[str, Any]) -> None:
    fields = message.DESCRIPTOR.fields_by_name
    for key, item in value.items():
        if item is None:
            continue
        field = fields.get(key)
        if field is None:
            raise ValueError(f"runtime.v1.{message.DESCRIPTOR.name} has no field {key}")
        if field.message_type is None:
            if isinstance(item, (list, tuple)):
                getattr(message, key).extend(item)
            else:
                setattr(message, key, item)
        elif field.message_type.GetOptions().map_entry:
            getattr(message, key).update(item)
        elif isinstance(item, (list, tuple)):
            for one in item:
                _fill(getattr(message, key).add(), one)
        else:
            getattr(message, key).SetInParent()
            _fill(getattr(message, key), item)


def to_dict(message: Any) -> dict[str, Any]:
    """Every scalar, list and map (absent ones as their zero value); sub-messages only where they are set."""
    out: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is None:
            out[field.name] = list(value) if field.is_repeated else value
        elif field.message_type.GetOptions().map_entry:
            out[field.name] = dict(value)
        elif field.is_repeated:
            out[field.name] = [to_dict(one) for one in value]
        elif message.HasField(field.name):
            out[field.name] = to_dict(value)
    return out
