"""The OCI runtime's configuration of one container. Pure.

Source: OCI runtime specification 1.0.2; containerd's defaults for Kubernetes pods.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pellucid.localkube.images.image import Image

DEFAULT_CAPABILITIES = (
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
    "CAP_SYS_CHROOT",
)  # fmt: skip
CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
    "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
"""In the kernel's order: the n-th is bit n."""
_MASKED = (
    "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
)  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_DEVICES = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2))


class Mount(msgspec.Struct, frozen=True):
    """A file or directory of the node, shown at a path of the container."""

    source: str
    destination: str
    read_only: bool = False
    propagation: str = "rprivate"
    """Which later mounts of the node appear in it: `rprivate` for none, `rslave` for all."""


class ContainerSettings(msgspec.Struct, frozen=True):
    """What the pod's specification decides about one container. Sizes in bytes, CPU in millicores."""

    image: Image
    arguments: tuple[str, ...]
    environment: dict[str, str]
    working_directory: str = "/"
    user: int = 0
    group: int = 0
    supplemental_groups: tuple[int, ...] = ()
    capabilities_added: tuple[str, ...] = ()
    capabilities_dropped: tuple[str, ...] = ()
    privileged: bool = False
    allow_privilege_escalation: bool = True
    read_only_root: bool = False
    terminal: bool = False
    stdin: bool = False
    mounts: tuple[Mount, ...] = ()
    sysctls: dict[str, str] = {}
    memory_limit: int = 0
    cpu_limit: int = 0
    cpu_request: int = 0


def capabilities_of(mask: int) -> frozenset[str]:
    """The names in a kernel's bit mask, such as `CapBnd` of a process."""
    return frozenset(name for bit, name in enumerate(CAPABILITIES) if mask >> bit & 1)


def container_capabilities(settings: ContainerSettings, available: frozenset[str]) -> list[str]:
    """The bounding set: the defaults, plus `add`, minus `drop`; `ALL` stands for every one.

    A machine cannot give what it was not given: only those `available` are in it.
    """
    added = {_capability(name) for name in settings.capabilities_added}
    dropped = {_capability(name) for name in settings.capabilities_dropped}
    base = set() if "CAP_ALL" in dropped else set(DEFAULT_CAPABILITIES) - dropped
    every = settings.privileged or "CAP_ALL" in added
    return sorted(available if every else available & (base | added))


def _capability(name: str) -> str:
    return name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"


def oci_config(
    settings: ContainerSettings,
    directory: Path,
    namespaces: dict[str, str],
    cgroup: str,
    available: frozenset[str],
) -> dict[str, Any]:
    """`directory` has `rootfs`, `upper` and `work`; `namespaces` maps those joined to their paths."""
    capabilities = container_capabilities(settings, available)
    effective = capabilities if settings.user == 0 else []
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": settings.terminal,
            "user": {
                "uid": settings.user,
                "gid": settings.group,
                "additionalGids": list(settings.supplemental_groups),
            },
            "args": list(settings.arguments),
            "env": [f"{name}={value}" for name, value in settings.environment.items()],
            "cwd": settings.working_directory or "/",
            "capabilities": {
                "bounding": capabilities,
                "effective": effective,
                "permitted": effective,
            },
            "noNewPrivileges": not settings.allow_privilege_escalation and not settings.privileged,
            "oomScoreAdj": 1000,
        },
        "root": {"path": str(directory / "rootfs"), "readonly": settings.read_only_root},
        "mounts": [
            *_root_mounts(settings, directory),
            *_system_mounts(settings),
            *(_bind(mount) for mount in settings.mounts),
        ],
        "linux": {
            "namespaces": _namespaces(namespaces),
            "cgroupsPath": cgroup,
            "sysctl": settings.sysctls,
            "resources": _resources(settings),
            "maskedPaths": [] if settings.privileged else list(_MASKED),
            "readonlyPaths": [] if settings.privileged else list(_READ_ONLY),
        },
    }


def _namespaces(joined: dict[str, str]) -> list[dict[str, str]]:
    listed = [{"type": kind, "path": path} for kind, path in joined.items()]
    listed.append({"type": "mount"})
    if "pid" not in joined:
        listed.append({"type": "pid"})
    return listed


def _root_mounts(settings: ContainerSettings, directory: Path) -> list[dict[str, Any]]:
    mounts = []
    for name, lowers in image_layers(settings.image).items():
        options = [
            f"lowerdir={':'.join(reversed(lowers))}",
            f"upperdir={directory / 'upper' / name}",
            f"workdir={directory / 'work' / name}",
        ]
        if settings.read_only_root:
            options.append("ro")
        mounts.append({"destination": f"/{name}", "type": "overlay", "source": "overlay", "options": options})
    mounts += [_bind(Mount(bind.source, bind.destination, read_only=True)) for bind in settings.image.binds]
    return mounts


def image_layers(image: Image) -> dict[str, tuple[str, ...]]:
    """Every folder of the image's root that holds something, with the directories laid over one another."""
    folders = {
        entry.name: (str(entry),)
        for entry in sorted(Path(image.base).iterdir())
        if entry.is_dir() and not entry.is_symlink() and any(entry.iterdir())
    }
    return folders | image.layers


def _system_mounts(settings: ContainerSettings) -> list[dict[str, Any]]:
    sys_options = ["nosuid", "noexec", "nodev", *([] if settings.privileged else ["ro"])]
    return [
        _special("/proc", "proc", "nosuid", "noexec", "nodev"),
        _special("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _special(
            "/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"
        ),
        _special("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        _special("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),  # noqa: S108
        _special("/sys", "sysfs", *sys_options),
    ]


def _special(destination: str, kind: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": kind, "options": list(options)}


def _bind(mount: Mount) -> dict[str, Any]:
    return {
        "destination": mount.destination,
        "type": "bind",
        "source": mount.source,
        "options": ["rbind", mount.propagation, "ro" if mount.read_only else "rw"],
    }


def _resources(settings: ContainerSettings) -> dict[str, Any]:
    if settings.privileged:
        devices: list[dict[str, Any]] = [{"allow": True, "access": "rwm"}]
    else:
        devices = [
            {"allow": False, "access": "rwm"},
            *(
                {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
                for major, minor in _DEVICES
            ),
        ]
    cpu = {"shares": max(2, settings.cpu_request * 1024 // 1000)}
    if settings.cpu_limit:
        cpu |= {"period": 100_000, "quota": max(1000, settings.cpu_limit * 100)}
    resources: dict[str, Any] = {"devices": devices, "cpu": cpu}
    if settings.memory_limit:
        resources["memory"] = {"limit": settings.memory_limit}
    return resources
