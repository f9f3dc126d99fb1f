"""Every port that a manifest names, resolved as the cluster of that version resolves it.

Who looks a name up, and where:

    Service.targetPort       endpoints: the pod's containers; init containers that stay only from
    NetworkPolicy            1.33 on (kubernetes/kubernetes#128850), other init containers never
    probes, preStop          the kubelet: the same container's ports alone
    Ingress, HTTPRoute       the ports of the Service, by name or number
    ServiceMonitor.port      the name of a port of each Service that it selects, then its targetPort
    PodMonitor.port          Prometheus: ports of all containers and init containers, by name;
                             portNumber by number, which a container has to declare
    a URL in a pod           the Service's port; a headless one has no proxy, so it is the pod's

A number needs no look-up, but somebody has to listen there: it is a containerPort of the pod.
"""
import re

from support.checks import check

NAMED_SIDECAR_PORTS = 33  # the minor version from which endpoints look at native sidecars
WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job"}


def minor(version):
    return int(version.lstrip("v").split(".")[1])


def made_pod(manifest):
    """Metadata and spec of the pods that a manifest makes, or None."""
    if manifest["kind"] == "CronJob":
        return manifest["spec"]["jobTemplate"]["spec"]["template"]
    if manifest["kind"] == "Pod":
        return manifest
    return manifest["spec"]["template"] if manifest["kind"] in WORKLOADS else None


def template(manifest):
    """Labels and spec of these pods, or None."""
    made = made_pod(manifest)
    return made and (made["metadata"].get("labels", {}), made["spec"])


def containers(spec):
    return [*spec.get("initContainers", []), *spec["containers"]]


def stays(container, spec):
    """Whether a container is there while the pod serves."""
    return container in spec["containers"] or container.get("restartPolicy") == "Always"


def declared(spec, version=None):
    """(name, number, protocol) of ports: all that stay or, with a version, those whose names it
    knows."""
    return [(port.get("name"), port["containerPort"], port.get("protocol", "TCP"))
            for container in containers(spec) if stays(container, spec)
            if version is None or container in spec["containers"]
            or minor(version) >= NAMED_SIDECAR_PORTS
            for port in container.get("ports", [])]


def number_of(port, protocol, spec, version):
    """The pod's port that a Service or a NetworkPolicy means, or None where nothing listens."""
    if isinstance(port, int):
        return port if (port, protocol) in {known[1:] for known in declared(spec)} else None
    found = [known[1] for known in declared(spec, version) if known[0] == port
             and known[2] == protocol]
    return found[0] if found else None


def selects(wanted, labels):
    return all(labels.get(key) == value for key, value in wanted.items())


def selected(selector, labels):
    """A LabelSelector of matchLabels; the chart has no other kind."""
    check(set(selector) <= {"matchLabels"}, f"selector {selector}")
    return selects(selector.get("matchLabels", {}), labels)


class Cluster:
    """The manifests of one release, as a cluster of one version joins them."""

    def __init__(self, manifests, version):
        self.version = version
        self.manifests = manifests
        self.pods = [found for found in map(template, manifests) if found]
        self.services = {m["metadata"]["name"]: m for m in manifests if m["kind"] == "Service"}
        self.resolved, self.faults = 0, []

    def say(self, good, *words):
        self.resolved += 1
        if not good:
            self.faults.append(" ".join(str(word) for word in words))

    def pods_of(self, service):
        return [spec for labels, spec in self.pods if selects(service["spec"]["selector"], labels)]

    def ports(self, service):
        return service["spec"]["ports"]

    def target(self, service, port):
        """The pods' port behind a Service's port, or None."""
        found = {number_of(port.get("targetPort", port["port"]), port.get("protocol", "TCP"), spec,
                           self.version) for spec in self.pods_of(service)}
        return found.pop() if len(found) == 1 else None

    def service_port(self, name, port, what):
        """A port of a Service, by its name or number, as Ingress and HTTPRoute ask for it."""
        service = self.services.get(name)
        found = [p for p in self.ports(service)
                 if port in (p["port"], p.get("name"))] if service else []
        self.say(len(found) == 1, f"{what}: service {name} has no port {port}")

    def look(self):
        for manifest in self.manifests:
            method = getattr(self, manifest["kind"].lower(), None)
            if method:
                method(manifest, f"{manifest['kind']} {manifest['metadata']['name']}")
        for _, spec in self.pods:
            self.pod_spec(spec)
        return self

    def service(self, manifest, what):
        self.say(self.pods_of(manifest), f"{what} selects no pod")
        for port in self.ports(manifest):
            number = self.target(manifest, port)
            self.say(number, f"{what}: targetPort {port.get('targetPort')} is no endpoint")
            self.say(manifest["spec"].get("clusterIP") != "None" or number == port["port"],
                     f"{what}: headless, so {port['port']} has to be the pod's port, {number}")

    def networkpolicy(self, manifest, what):
        spec = manifest["spec"]
        pods = [pod for labels, pod in self.pods if selected(spec["podSelector"], labels)]
        self.say(pods, f"{what} selects no pod")
        allowed = set()
        for pod in pods:
            for rule in spec.get("ingress", []):
                for port in rule.get("ports", []):
                    number = number_of(port["port"], port.get("protocol", "TCP"), pod, self.version)
                    self.say(number, f"{what}: no container listens on {port['port']}")
                    allowed.add(number)
            for service in self.services.values():
                for port in self.ports(service) if pod in self.pods_of(service) else []:
                    self.say(self.target(service, port) in allowed,
                             f"{what} shuts port {port['port']} of {service['metadata']['name']}")

    def ingress(self, manifest, what):
        for rule in manifest["spec"].get("rules", []):
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                port = backend["port"]
                self.service_port(backend["name"], port.get("name", port.get("number")), what)

    def httproute(self, manifest, what):
        for rule in manifest["spec"].get("rules", []):
            for backend in rule.get("backendRefs", []):
                self.service_port(backend["name"], backend["port"], what)

    def servicemonitor(self, manifest, what):
        spec = manifest["spec"]
        services = [service for service in self.services.values()
                    if selected(spec["selector"], service["metadata"].get("labels", {}))]
        for endpoint in spec["endpoints"]:
            found = [(service, port) for service in services for port in self.ports(service)
                     if port.get("name") == endpoint["port"]]
            self.say(len(found) == 1,
                     f"{what}: {len(found)} services have a port {endpoint['port']}")
            for service, port in found:
                self.say(self.target(service, port), f"{what}: {endpoint['port']} has no endpoint")

    def podmonitor(self, manifest, what):
        spec = manifest["spec"]
        pods = [pod for labels, pod in self.pods if selected(spec["selector"], labels)]
        self.say(pods, f"{what} selects no pod")
        for endpoint in spec["podMetricsEndpoints"]:
            for pod in pods:
                found = [port for port in declared(pod)
                         if endpoint.get("port") == port[0]
                         or endpoint.get("portNumber") == port[1]]
                self.say(len(found) == 1, f"{what}: {len(found)} container ports fit {endpoint}")

    def pod_spec(self, spec):
        for container in containers(spec):
            own = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
            hooks = {name: hook for name, hook in container.get("lifecycle", {}).items()
                     if isinstance(hook, dict)}
            probes = {name: container[name] for name in ("startupProbe", "readinessProbe",
                      "livenessProbe") if name in container}
            for name, probe in {**probes, **hooks}.items():
                for kind in ("httpGet", "tcpSocket", "grpc"):
                    if kind in probe:
                        port = probe[kind]["port"]
                        self.say(port in own.values() if isinstance(port, int) else port in own,
                                 f"{container['name']}: {name} asks for port {port}")
            for text in [*container.get("command", []), *container.get("args", [])]:
                for name, port in re.findall(r"http://([a-z0-9.-]+):(\d+)", text):
                    if name in self.services:
                        self.service_port(name, int(port), container["name"])


def check_ports(manifests, version, what):
    """How many references there are; the first that leads nowhere is the failure."""
    cluster = Cluster(manifests, version).look()
    check(not cluster.faults, f"{what}, Kubernetes {version}: {'; '.join(cluster.faults)}")
    return cluster.resolved


def planted():
    """(words, version, change, fault): what would be a fault in a cluster is one here, and no more.
    `change` gets a Service, a NetworkPolicy, a Deployment with a native sidecar and both
    monitors."""
    def put(path, value):
        def change(manifests):
            at = manifests
            for part in path[:-1]:
                at = at[part]
            at[path[-1]] = value
        return change
    service = ("Service", "spec", "ports", 0)
    sidecar = ("Deployment", "spec", "template", "spec", "initContainers", 0)
    return [
        ("as it should be", "1.29.0", lambda m: None, ""),
        ("a name of a native sidecar", "1.32.9", put((*service, "targetPort"), "metrics"),
         "no endpoint"),
        ("the same from 1.33 on", "1.33.0", put((*service, "targetPort"), "metrics"), ""),
        ("a name of an init container that ends", "1.37.0", lambda m: (
            put((*service, "targetPort"), "metrics")(m), put((*sidecar, "restartPolicy"), None)(m)),
         "no endpoint"),
        ("another protocol", "1.37.0", put((*service, "protocol"), "UDP"), "no endpoint"),
        ("a number where nothing listens", "1.37.0", put((*service, "targetPort"), 8001),
         "no endpoint"),
        ("headless with another port", "1.37.0", put((*service, "port"), 80), "headless"),
        ("a selector that finds nothing", "1.37.0",
         put(("Service", "spec", "selector"), {"a": "b"}),
         "selects no pod"),
        ("a policy by name", "1.31.0", put(
            ("NetworkPolicy", "spec", "ingress", 0, "ports", 0, "port"), "metrics"),
         "no container"),
        ("a policy that forgets a port", "1.37.0", put(
            ("NetworkPolicy", "spec", "ingress", 0, "ports"), [{"port": 8081}]), "shuts port 8000"),
        ("a probe of another container's port", "1.37.0", put((*sidecar, "livenessProbe"), {
            "httpGet": {"port": "http"}}), "asks for port http"),
        ("a monitor of a port without that name", "1.37.0", put((*service, "name"), "web"),
         "0 services have a port metrics"),
        ("a pod monitor of no port", "1.37.0", put(
            ("PodMonitor", "spec", "podMetricsEndpoints", 0, "port"), "web"), "0 container ports"),
    ]


def check_self():
    """Faults of each kind are found, and versions told apart."""
    labels = {"app": "a"}
    for words, version, change, fault in planted():
        by_kind = {
            "Service": {"metadata": {"name": "s", "labels": labels}, "spec": {
                "clusterIP": "None", "selector": labels,
                "ports": [{"name": "metrics", "port": 8000, "targetPort": 8000}]}},
            "NetworkPolicy": {"metadata": {"name": "n"}, "spec": {
                "podSelector": {"matchLabels": labels}, "ingress": [{"ports": [{"port": 8000}]}]}},
            "Deployment": {"metadata": {"name": "d"}, "spec": {"template": {
                "metadata": {"labels": labels}, "spec": {
                    "initContainers": [{"name": "metrics", "restartPolicy": "Always", "ports": [
                        {"name": "metrics", "containerPort": 8000}]}],
                    "containers": [{"name": "app", "ports": [
                        {"name": "http", "containerPort": 8081}]}]}}}},
            "ServiceMonitor": {"metadata": {"name": "m"}, "spec": {
                "selector": {"matchLabels": labels}, "endpoints": [{"port": "metrics"}]}},
            "PodMonitor": {"metadata": {"name": "p"}, "spec": {
                "selector": {"matchLabels": labels}, "podMetricsEndpoints": [{"port": "metrics"}]}},
        }
        change(by_kind)
        manifests = [{"kind": kind, **manifest} for kind, manifest in by_kind.items()]
        faults = "; ".join(Cluster(manifests, version).look().faults)
        check(fault in faults if fault else not faults,
              f"{words} at {version} gives {faults or 'no fault'}")
