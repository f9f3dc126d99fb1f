"""Every name that a manifest has for another, followed: accounts, volumes, ConfigMaps and Secrets,
targets of autoscalers, and the selectors of whatever selects pods or Services. Ports are for
chart_ports.py.
"""
from support.chart_ports import containers, selected, selects, stays, template
from support.checks import check


class References:
    def __init__(self, manifests, others):
        self.manifests = manifests
        self.others = others  # what is there besides the chart, as "Kind name"
        self.pods = [(m, *template(m)) for m in manifests if template(m)]
        self.seen, self.faults = 0, []

    def say(self, good, *words):
        self.seen += 1
        if not good:
            self.faults.append(" ".join(str(word) for word in words))

    def there(self, kind, name, what):
        found = [m for m in self.manifests if (m["kind"], m["metadata"]["name"]) == (kind, name)]
        self.say(found or f"{kind} {name}" in self.others, f"{what}: there is no {kind} {name}")
        return found[0] if found else None

    def look(self):
        names = [(m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"])
                 for m in self.manifests]
        self.say(len(set(names)) == len(names), "two manifests have one name:", names)
        for manifest, labels, spec in self.pods:
            self.inside(manifest, labels, spec)
        for manifest in self.manifests:
            what = f"{manifest['kind']} {manifest['metadata']['name']}"
            getattr(self, manifest["kind"].lower(), lambda *_: None)(manifest, what)
        return self

    def inside(self, manifest, labels, spec):
        what = f"{manifest['kind']} {manifest['metadata']['name']}"
        if manifest["kind"] != "Pod":
            self.say(selected(manifest["spec"].get("selector", {}), labels),
                     f"{what} misses its own pods")
            for spread in spec.get("topologySpreadConstraints", []):
                self.say(selected(spread["labelSelector"], labels), f"{what} spreads other pods")
        account = spec.get("serviceAccountName", "default")
        if account != "default":
            self.there("ServiceAccount", account, what)
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        self.say(len(volumes) == len(spec.get("volumes", [])), f"{what}: volumes {list(volumes)}")
        used = set()
        for container in containers(spec):
            mounts = container.get("volumeMounts", [])
            self.say(len({m["mountPath"] for m in mounts}) == len(mounts),
                     f"{what}: {container['name']} mounts twice at one place")
            for mount in mounts:
                used.add(mount["name"])
                self.say(mount["name"] in {*volumes, *self.claims(manifest)},
                         f"{what}: no volume {mount['name']}")
            for source in container.get("envFrom", []):
                for kind in ("configMap", "secret"):
                    wanted = source.get(f"{kind}Ref", {})
                    if wanted and not wanted.get("optional"):
                        self.there(kind[0].upper() + kind[1:], wanted["name"], what)
        self.say(set(volumes) <= used, f"{what}: nothing mounts {set(volumes) - used}")
        names = [container["name"] for container in containers(spec)]
        self.say(len(set(names)) == len(names), f"{what}: containers {names}")
        for volume in volumes.values():
            if "configMap" in volume:
                self.keyed("ConfigMap", volume["configMap"]["name"], spec, volume["name"], what)
            if "secret" in volume:
                self.keyed("Secret", volume["secret"]["secretName"], spec, volume["name"], what)

    def claims(self, manifest):
        claims = manifest["spec"].get("volumeClaimTemplates", [])
        return [claim["metadata"]["name"] for claim in claims]

    def keyed(self, kind, name, spec, volume, what):
        """Files that a container's flags name in a mounted ConfigMap or Secret are its keys."""
        source = self.there(kind, name, what)
        keys = {**source.get("data", {}), **source.get("stringData", {})} if source else {}
        for container in containers(spec):
            for mount in container.get("volumeMounts", []):
                if mount["name"] == volume:
                    for text in container.get("args", []):
                        path = text.partition("=")[2]
                        if path.startswith(mount["mountPath"] + "/") and source:
                            key = path.removeprefix(mount["mountPath"] + "/")
                            self.say(key in keys, f"{what}: {kind} {name} has no {key}")

    def selector(self, selector, what, namespace=None):
        found = [m for m, labels, _ in self.pods
                 if m["kind"] != "Pod" and selected(selector, labels)
                 and namespace in (None, m["metadata"]["namespace"])]
        self.say(len(found) == 1, f"{what} selects {len(found)} kinds of pods")

    def service(self, manifest, what):
        self.selector({"matchLabels": manifest["spec"]["selector"]}, what,
                      manifest["metadata"]["namespace"])
        strangers = [m for m, labels, _ in self.pods if m["kind"] == "Pod"
                     and selects(manifest["spec"]["selector"], labels)]
        self.say(not strangers, f"{what} sends requests to {strangers}")

    def poddisruptionbudget(self, manifest, what):
        self.selector(manifest["spec"]["selector"], what, manifest["metadata"]["namespace"])

    def networkpolicy(self, manifest, what):
        self.selector(manifest["spec"]["podSelector"], what, manifest["metadata"]["namespace"])
        tests = [labels for m, labels, _ in self.pods if m["kind"] == "Pod"]
        for rule in manifest["spec"].get("ingress", []):
            peers = [peer["podSelector"] for peer in rule.get("from", [])
                     if set(peer) == {"podSelector"}]
            for labels in tests if "from" in rule else []:
                self.say(any(selected(peer, labels) for peer in peers),
                         f"{what} shuts helm test out")

    def namespaces(self, monitor):
        """Where a monitor looks: in its own namespace unless it says where."""
        selector = monitor["spec"].get("namespaceSelector", {})
        return selector.get("matchNames", [monitor["metadata"]["namespace"]])

    def podmonitor(self, manifest, what):
        spec = manifest["spec"]
        namespaces = self.namespaces(manifest)
        self.selector(spec["selector"], what, *namespaces)

    def servicemonitor(self, manifest, what):
        spec = manifest["spec"]
        namespaces = self.namespaces(manifest)
        found = [m for m in self.manifests if m["kind"] == "Service"
                 and m["metadata"]["namespace"] in namespaces
                 and selected(spec["selector"], m["metadata"].get("labels", {}))]
        self.say(len(found) == 1, f"{what} selects {len(found)} services in {namespaces}")

    def horizontalpodautoscaler(self, manifest, what):
        target = manifest["spec"]["scaleTargetRef"]
        scaled = self.there(target["kind"], target["name"], what)
        spec = scaled["spec"]["template"]["spec"]
        named = {each["name"]: each for each in containers(spec) if stays(each, spec)}
        for metric in manifest["spec"]["metrics"]:
            source = metric.get("containerResource", metric.get("resource"))
            if source:
                measured = [named[source["container"]]] if "container" in source else named.values()
                for container in measured:
                    self.say(source["name"] in container.get("resources", {}).get("requests", {}),
                             f"{what}: {container['name']} requests no {source['name']}")
        self.say("replicas" not in scaled["spec"], f"{what}: replicas are the autoscaler's")

    def httproute(self, manifest, what):
        self.say(manifest["spec"]["parentRefs"], f"{what} has no gateway")


def check_references(manifests, what, others=()):
    """How many names there are; the first that leads nowhere is the failure."""
    found = References(manifests, set(others)).look()
    check(not found.faults, f"{what}: {'; '.join(found.faults)}")
    return found.seen
