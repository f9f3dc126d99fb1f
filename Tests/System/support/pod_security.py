"""The Pod Security Standard "restricted", control by control, as Kubernetes' documents list them:
what a namespace with pod-security.kubernetes.io/enforce=restricted would refuse of a pod.
"""
import json

from support.chart_ports import containers, made_pod
from support.checks import check

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
           "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {"kernel.shm_rmid_forced", *(f"net.ipv4.{name}" for name in (
    "ip_local_port_range", "ip_local_reserved_ports", "ip_unprivileged_port_start",
    "ping_group_range", "tcp_fin_timeout", "tcp_keepalive_intvl", "tcp_keepalive_probes",
    "tcp_keepalive_time", "tcp_rmem", "tcp_syncookies", "tcp_wmem"))}
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
PROFILES = {"RuntimeDefault", "Localhost"}


def offences(metadata, spec):
    """What the standard refuses, in words; nothing where the pod may run."""
    pod = spec.get("securityContext", {})
    found = [f"{name} is true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            found.append(f"the volume {volume['name']} is {kinds - VOLUMES}")
    found += [f"sysctl {entry['name']}" for entry in pod.get("sysctls", [])
              if entry["name"] not in SYSCTLS]
    found += [f"{key} is {value}" for key, value in metadata.get("annotations", {}).items()
              if key.startswith("container.apparmor.security.beta.kubernetes.io/")
              and not value.startswith(("runtime/default", "localhost/"))]
    for holder in (pod, *(container.get("securityContext", {}) for container in containers(spec))):
        selinux = holder.get("seLinuxOptions", {})
        if selinux.get("type", "") not in SELINUX or selinux.get("user") or selinux.get("role"):
            found.append(f"seLinuxOptions {selinux}")
        if holder.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in PROFILES:
            found.append("appArmorProfile")
        if holder.get("windowsOptions", {}).get("hostProcess"):
            found.append("a host process")
        if holder.get("seccompProfile", {}).get("type", "RuntimeDefault") not in PROFILES:
            found.append("another seccompProfile")
        if holder.get("runAsUser") == 0:
            found.append("runAsUser is 0")
        if holder.get("runAsNonRoot") is False:
            found.append("runAsNonRoot is false")
    for container in containers(spec):
        own, name = container.get("securityContext", {}), container["name"]
        found += [f"{name}: {words}" for words, bad in (
            ("privileged", own.get("privileged")),
            ("allowPrivilegeEscalation is not false",
             own.get("allowPrivilegeEscalation") is not False),
            ("procMount", own.get("procMount", "Default") != "Default"),
            ("keeps capabilities", "ALL" not in own.get("capabilities", {}).get("drop", [])),
            ("adds capabilities",
             set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}),
            ("a host port", any(port.get("hostPort") for port in container.get("ports", []))),
            ("may run as root", own.get("runAsNonRoot", pod.get("runAsNonRoot")) is None),
            ("no seccompProfile", not own.get("seccompProfile", pod.get("seccompProfile"))),
            ("a probe or hook of another host", any(
                handler.get(kind, {}).get("host") for kind in ("httpGet", "tcpSocket")
                for handler in (*(container.get(probe, {}) for probe in
                                  ("startupProbe", "readinessProbe", "livenessProbe")),
                                *(hook for hook in container.get("lifecycle", {}).values()
                                  if isinstance(hook, dict))))),
        ) if bad]
    return found


def check_restricted(manifests, what):
    """A namespace that enforces the standard takes every pod."""
    for manifest in manifests:
        made = made_pod(manifest)
        if made:
            found = offences(made["metadata"], made["spec"])
            check(not found, f"{what}: {manifest['kind']} {manifest['metadata']['name']}: {found}")


def security(spec):
    return spec["containers"][0]["securityContext"]


UNCONFINED = {"type": "Unconfined"}
BROKEN = [
    ("hostNetwork", lambda s: s.update(hostNetwork=True)),
    ("is {'hostPath'}", lambda s: s["volumes"].append({"name": "x", "hostPath": {"path": "/"}})),
    ("sysctl", lambda s: s["securityContext"].update(sysctls=[{"name": "kernel.msgmax"}])),
    ("seLinuxOptions", lambda s: s["securityContext"].update(seLinuxOptions={"type": "spc_t"})),
    ("appArmorProfile", lambda s: s["securityContext"].update(appArmorProfile=UNCONFINED)),
    ("another seccomp", lambda s: s["securityContext"].update(seccompProfile=UNCONFINED)),
    ("no seccompProfile", lambda s: s["securityContext"].pop("seccompProfile")),
    ("host process", lambda s: s["securityContext"].update(windowsOptions={"hostProcess": True})),
    ("runAsUser is 0", lambda s: s["securityContext"].update(runAsUser=0)),
    ("runAsNonRoot is false", lambda s: security(s).update(runAsNonRoot=False)),
    ("may run as root", lambda s: (security(s).pop("runAsNonRoot"),
                                   s["securityContext"].pop("runAsNonRoot"))),
    ("privileged", lambda s: security(s).update(privileged=True)),
    ("allowPrivilegeEscalation", lambda s: security(s).pop("allowPrivilegeEscalation")),
    ("procMount", lambda s: security(s).update(procMount="Unmasked")),
    ("keeps capabilities", lambda s: security(s).pop("capabilities")),
    ("adds capabilities", lambda s: security(s)["capabilities"].update(add=["SYS_ADMIN"])),
    ("a host port", lambda s: s["containers"][0]["ports"][0].update(hostPort=80)),
    ("another host", lambda s: s["containers"][0]["livenessProbe"]["httpGet"].update(host="x")),
]


def check_self(spec):
    """Each control, broken once in a pod that keeps them all, is found, and nothing else."""
    check(not offences({}, spec), "the pod offends as it is")
    for words, change in BROKEN:
        broken = json.loads(json.dumps(spec))
        change(broken)
        found = offences({}, broken)
        check(found and all(words in text for text in found), f"{words}: found {found}")
