"""chart/values.schema.json, made from values.yaml: a key has the type of its default unless TYPES
says more, its comment is its description, and an object refuses keys that it does not know.

Draft 7, which every Helm reads; patterns without look-ahead, which Go's engine lacks.
"""
import json
import re

import yaml

from support import chart_library
from support.chart_rules_schema import RULES
from support.chart_values import CHART, documented

STRING, INTEGER, BOOLEAN, ANY = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}, {}
COUNT = {"type": "integer", "minimum": 0}
OBJECT = {"type": "object"}


def ref(name):
    return {"$ref": f"#/definitions/{name}"}


def listed(items, **more):
    return {"type": "array", "items": items, **more}


def members(required="", **properties):
    made = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**made, "required": required.split()} if required else made


def enum(*values):
    return {"enum": list(values)}


def matching(pattern, **more):
    return {"type": "string", "pattern": pattern, **more}


NOTHING_OR_COUNT = {"anyOf": [enum(""), COUNT]}
REFERENCE = members("name", name=STRING, optional=BOOLEAN)
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
PORT_NAME = matching("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", maxLength=15)
# A container that the chart does not know: the API server judges the rest.
CONTAINER = {"type": "object", "required": ["name", "image"], "properties": {
    "name": {"type": "string", "not": enum("app", "metrics-sidecar", "tools")}, "image": STRING}}
SECCOMP = members(type=STRING, localhostProfile=STRING)
PROBE = dict(
    enabled=BOOLEAN, httpGet=OBJECT, tcpSocket=OBJECT, exec=OBJECT, grpc=OBJECT,
    initialDelaySeconds=COUNT, periodSeconds={"type": "integer", "minimum": 1},
    timeoutSeconds={"type": "integer", "minimum": 1},
    failureThreshold={"type": "integer", "minimum": 1}, terminationGracePeriodSeconds=COUNT)
HOOK = members(exec=members(command=listed(STRING)), httpGet=OBJECT, tcpSocket=OBJECT,
               sleep=members("seconds", seconds=INTEGER))
PEER = members(namespaceSelector=OBJECT, podSelector=OBJECT, ipBlock=OBJECT)

DEFINITIONS = {
    "texts": {"type": "object", "additionalProperties": STRING},
    "strings": listed(STRING),
    "port": PORT,
    "portOrNone": {"type": "integer", "minimum": 0, "maximum": 65535},
    "quantity": {"type": ["string", "integer"],
                 "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$"},
    "duration": matching("^([0-9]+(ms|s|m|h|d))*$"),
    "registry": matching(r"^([a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?)?$"),
    "digest": matching("^(|sha256:[0-9a-f]{64})$"),
    "pullPolicy": enum("Always", "IfNotPresent", "Never"),
    "secrets": listed(members("name", name=STRING)),
    "env": listed(members("name", name={"type": "string", "minLength": 1}, value=STRING,
                          valueFrom=members(configMapKeyRef=OBJECT, secretKeyRef=OBJECT,
                                            fieldRef=OBJECT,
                                            resourceFieldRef=OBJECT, fileKeyRef=OBJECT))),
    "envFrom": listed(members(prefix=STRING, configMapRef=REFERENCE, secretRef=REFERENCE)),
    "probe": members(**PROBE),
    "readinessProbe": members(**PROBE, successThreshold={"type": "integer", "minimum": 1}),
    "lifecycle": members(postStart=HOOK, preStop=HOOK, stopSignal=STRING),
    "mounts": listed(members("name mountPath", name=STRING, mountPath=matching("^/"),
                             readOnly=BOOLEAN,
                             subPath=STRING, subPathExpr=STRING, mountPropagation=STRING,
                             recursiveReadOnly=STRING)),
    "containerSecurity": members(
        runAsNonRoot=BOOLEAN, runAsUser=INTEGER, runAsGroup=INTEGER,
        allowPrivilegeEscalation=BOOLEAN,
        readOnlyRootFilesystem=BOOLEAN, privileged=BOOLEAN, procMount=STRING,
        capabilities=members(drop=listed(STRING), add=listed(STRING)), seccompProfile=SECCOMP,
        appArmorProfile=OBJECT, seLinuxOptions=OBJECT, windowsOptions=OBJECT),
    "resources": members(requests=ref("quantities"), limits=ref("quantities"),
                         claims=listed(OBJECT)),
    "quantities": {"type": "object", "additionalProperties": ref("quantity")},
    "peers": listed(PEER),
    "relabelings": listed(members(action=STRING, sourceLabels=listed(STRING), separator=STRING,
                                  targetLabel=STRING, regex=STRING, modulus=INTEGER,
                                  replacement=STRING)),
    "numberOrPercent": {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+%$"},
    "autoOrSeconds": {"anyOf": [enum("auto"), {"type": "integer", "minimum": 0, "maximum": 86400}]},
    "container": CONTAINER,
    "rules": RULES,
}

POD_SECURITY = members(
    fsGroup=INTEGER, fsGroupChangePolicy=enum("OnRootMismatch", "Always"), runAsNonRoot=BOOLEAN,
    runAsUser=INTEGER, runAsGroup=INTEGER, supplementalGroups=listed(INTEGER),
    supplementalGroupsPolicy=STRING, seccompProfile=SECCOMP, seLinuxOptions=OBJECT,
    seLinuxChangePolicy=STRING, appArmorProfile=OBJECT,
    sysctls=listed(members(name=STRING, value=STRING)), windowsOptions=OBJECT)
RULE_GROUP = members(
    "name rules", name=STRING, interval=STRING, limit=INTEGER, query_offset=STRING,
    partial_response_strategy=STRING, labels=OBJECT, rules=listed(members(
        "expr", alert=STRING, record=STRING, expr={"type": ["string", "integer"]}, labels=OBJECT,
        annotations=OBJECT, keep_firing_for=STRING, **{"for": STRING})))
PROTOCOL = enum("PrometheusProto", "OpenMetricsText1.0.0", "OpenMetricsText0.0.1",
                "PrometheusText1.0.0",
                "PrometheusText0.0.4")
TEXTS, STRINGS = ref("texts"), ref("strings")
IMAGE = {"registry": ref("registry"), "repository": {"type": "string", "minLength": 1},
         "digest": ref("digest"), "pullPolicy": ref("pullPolicy")}
MONITOR = {
    "labels": TEXTS, "annotations": TEXTS, "interval": ref("duration"),
    "scrapeTimeout": ref("duration"),
    "honorLabels": enum("auto", True, False), "scrapeProtocols": listed(PROTOCOL, uniqueItems=True),
    "relabelings": ref("relabelings"), "metricRelabelings": ref("relabelings"), "spec": OBJECT}


def under(prefix, types):
    return {f"{prefix}.{key}": value for key, value in types.items()}


TYPES = {
    "global.imageRegistry": ref("registry"), "global.imagePullSecrets": ref("secrets"),
    **under("image", IMAGE), "imagePullSecrets": ref("secrets"),
    "commonLabels": TEXTS, "commonAnnotations": TEXTS,
    **under("app", {
        "command": STRINGS, "args": STRINGS,
        "ports": listed(members(
            "name containerPort", containerPort=PORT, protocol=enum("TCP", "UDP", "SCTP"),
            name={**PORT_NAME, "not": enum("metrics")}), minItems=1),
        "env": ref("env"), "envFrom": ref("envFrom"), "healthPath": matching("^(/|$)"),
        "startupProbe": ref("probe"), "readinessProbe": ref("readinessProbe"),
        "livenessProbe": ref("probe"), "lifecycle": ref("lifecycle"), "socketsPath": matching("^/"),
        "volumeMounts": ref("mounts"), "securityContext": ref("containerSecurity")}),
    "resources": ref("resources"),
    **under("sidecar.image", IMAGE),
    **under("sidecar", {
        "native": enum("auto", True, False), "allowedHosts": listed(
            matching(r"^(\*|[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?)$")),
        "extraArgs": STRINGS, "env": ref("env"),
        "listen": matching(r"^([0-9.]+|\[[0-9a-fA-F:.]+\])$"), "port": ref("port"),
        "otlp.listen": matching(r"^(localhost|[0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$"),
        "otlp.resourceLabels": listed(matching("^[^,]+$")),
        "otlp.maxSize": matching("^([0-9]+(KiB|MiB)?)?$"),
        "otlp.maxStreams": {"anyOf": [enum(""), {"type": "integer", "minimum": 1}]},
        "rules": ref("rules"), "push.port": ref("port"), "push.annotations": TEXTS,
        "push.ttl": matching("^(0|([0-9]+(ms|s|m|h|d))+)$"),
        "push.authKey": matching("^[-._a-zA-Z0-9]+$"),
        "stateSizeLimit": ref("quantity"), "lingerSeconds": ref("autoOrSeconds"),
        "startupProbe": ref("probe"), "readinessProbe": ref("readinessProbe"),
        "livenessProbe": ref("probe"), "resources": ref("resources"), "volumeMounts": ref("mounts"),
        "securityContext": ref("containerSecurity")}),
    "podSecurityContext": POD_SECURITY,
    "workload.kind": enum("Deployment", "Job", "CronJob"),
    "workload.report": matching("^[^,|]*$", maxLength=255),
    **under("workload.job", {
        "restartPolicy": enum("Never", "OnFailure"), "backoffLimit": COUNT,
        "backoffLimitPerIndex": NOTHING_OR_COUNT, "maxFailedIndexes": NOTHING_OR_COUNT,
        "parallelism": COUNT, "completions": NOTHING_OR_COUNT,
        "completionMode": enum("NonIndexed", "Indexed"),
        "activeDeadlineSeconds": {"anyOf": [enum(""), {"type": "integer", "minimum": 1}]},
        "ttlSecondsAfterFinished": NOTHING_OR_COUNT,
        "podFailurePolicy": members(rules=listed({"type": "object", "required": ["action"]})),
        "podReplacementPolicy": enum("", "TerminatingOrFailed", "Failed"),
        "successPolicy": members(rules=listed(members(
            succeededIndexes=STRING, succeededCount=COUNT), minItems=1))}),
    **under("workload.cronJob", {
        "schedule": matching("^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)"
                             "|@every [0-9hms]+|[0-9A-Za-z*/,?-]+( +[0-9A-Za-z*/,?-]+){4})$"),
        "concurrencyPolicy": enum("Allow", "Forbid", "Replace"),
        "startingDeadlineSeconds": NOTHING_OR_COUNT}),
    "strategy": members(type=enum("RollingUpdate", "Recreate"), rollingUpdate=members(
        maxSurge={"type": ["integer", "string"]}, maxUnavailable={"type": ["integer", "string"]})),
    "deploymentAnnotations": TEXTS, "terminationGracePeriodSeconds": ref("autoOrSeconds"),
    "podAnnotations": TEXTS, "podLabels": TEXTS, "nodeSelector": TEXTS,
    "tolerations": listed(members(
        key=STRING, operator=enum("Exists", "Equal", "Lt", "Gt"), value=STRING,
        tolerationSeconds=INTEGER,
        effect=enum("NoSchedule", "PreferNoSchedule", "NoExecute"))),
    "affinity": members(nodeAffinity=OBJECT, podAffinity=OBJECT, podAntiAffinity=OBJECT),
    "topologySpreadConstraints": listed(members(
        "maxSkew topologyKey whenUnsatisfiable", maxSkew=INTEGER, minDomains=INTEGER,
        topologyKey=STRING,
        whenUnsatisfiable=enum("DoNotSchedule", "ScheduleAnyway"), labelSelector=OBJECT,
        matchLabelKeys=STRINGS, nodeAffinityPolicy=STRING, nodeTaintsPolicy=STRING)),
    "hostAliases": listed(members("ip hostnames", ip=STRING, hostnames=STRINGS)),
    "dnsPolicy": enum("", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "dnsConfig": members(nameservers=STRINGS, searches=STRINGS,
                         options=listed(members(name=STRING, value=STRING))),
    "extraVolumes": listed({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "not": enum(
            "sockets", "state", "rules", "push-auth", "tools")}}}),
    "extraContainers": listed(ref("container")), "extraInitContainers": listed(ref("container")),
    "serviceAccount.annotations": TEXTS,
    **under("service", {
        "type": enum("ClusterIP", "NodePort", "LoadBalancer"), "port": ref("port"),
        "nodePort": ref("portOrNone"), "labels": TEXTS, "annotations": TEXTS,
        "extraPorts": listed(members(
            "name port", name={"type": "string", "not": enum("http")}, port=PORT, nodePort=PORT,
            targetPort={"type": ["integer", "string"]}, protocol=enum("TCP", "UDP", "SCTP"),
            appProtocol=STRING)),
        "loadBalancerSourceRanges": listed(matching("^[0-9a-fA-F.:]+/[0-9]+$")),
        "externalTrafficPolicy": enum("", "Cluster", "Local"),
        "ipFamilyPolicy": enum("", "SingleStack", "PreferDualStack", "RequireDualStack"),
        "ipFamilies": listed(enum("IPv4", "IPv6"), maxItems=2, uniqueItems=True)}),
    **under("metricsService", {"labels": TEXTS, "annotations": TEXTS}),
    **under("ingress", {
        "annotations": TEXTS,
        "hosts": listed(members("host paths", host=STRING, paths=listed(members(
            "path pathType", path=matching("^/"),
            pathType=enum("Exact", "Prefix", "ImplementationSpecific")), minItems=1))),
        "tls": listed(members(hosts=STRINGS, secretName=STRING))}),
    **under("httpRoute", {
        "labels": TEXTS, "annotations": TEXTS, "hostnames": STRINGS,
        "parentRefs": listed(members(
            "name", group=STRING, kind=STRING, name=STRING, namespace=STRING, sectionName=STRING,
            port=PORT)),
        "rules": listed(members(name=STRING, matches=listed(OBJECT), filters=listed(OBJECT),
                                timeouts=OBJECT, retry=OBJECT, sessionPersistence=OBJECT),
                                minItems=1)}),
    **under("autoscaling", {
        "minReplicas": {"type": "integer", "minimum": 1},
        "maxReplicas": {"type": "integer", "minimum": 1},
        "metrics": listed({"type": "object", "required": ["type"]}),
        "behavior": members(scaleUp=OBJECT, scaleDown=OBJECT)}),
    **under("podDisruptionBudget", {
        "maxUnavailable": ref("numberOrPercent"),
        "minAvailable": {"anyOf": [enum(""), ref("numberOrPercent")]},
        "unhealthyPodEvictionPolicy": enum("", "IfHealthyBudget", "AlwaysAllow")}),
    **under("networkPolicy", {
        "appFrom": ref("peers"), "metricsFrom": ref("peers"), "pushFrom": ref("peers"),
        "egress": listed(members(to=ref("peers"), ports=listed(members(
            port={"type": ["integer", "string"]}, endPort=INTEGER, protocol=STRING))))}),
    "prometheusOperator.version": matching(r"^v?[0-9]+\.[0-9]+(\.[0-9]+)?$"),
    **under("serviceMonitor", {
        **MONITOR, "serviceDiscoveryRole": enum("", "Endpoints", "EndpointSlice")}),
    **under("podMonitor", {**MONITOR, "enabled": enum("auto", True, False)}),
    **under("prometheusRule", {"labels": TEXTS, "annotations": TEXTS, "disabledAlerts": STRINGS,
                               "additionalGroups": listed(RULE_GROUP)}),
    **under("dashboard", {"labels": TEXTS, "annotations": TEXTS}),
    **under("tests", {"paths": listed(matching("^/")),
                      "counters": listed(matching("^[a-zA-Z_:][a-zA-Z0-9_:]*$"))}),
    "extraObjects": listed({"type": ["object", "string"]}),
}


def made_of(value, path, words, types):
    if path in types:
        made = types[path]
    elif isinstance(value, dict) and value and path not in words:
        made = {"type": "object", "additionalProperties": path == "global", "properties": {
            key: made_of(inner, f"{path}.{key}", words, types) for key, inner in value.items()}}
    elif isinstance(value, bool):
        made = BOOLEAN
    elif isinstance(value, int):
        made = COUNT
    elif isinstance(value, str):
        made = STRING
    else:
        raise SystemExit(f"FAILED: TYPES says nothing of {path}")
    # Members beside a $ref are not read in draft 7, but editors show them.
    return {"description": words[path], **made} if path in words else made


def made(chart, types, title, more):
    """The schema of a chart's values.yaml; `more` are properties that Helm puts there."""
    values = yaml.safe_load((chart / "values.yaml").read_text())
    words = {key: text for key, _, text in documented(chart)}
    unknown = {path for path in types if path not in words}
    if unknown:
        raise SystemExit(f"FAILED: values.yaml lacks what TYPES names: {sorted(unknown)}")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": {**{key: made_of(value, key, words, types) for key, value in values.items()},
                       **more},
    }


def schema():
    return {
        # A library's values may be there, but only as Helm puts them.
        **made(CHART, TYPES, "Values of simple-server", {
            "metrics-sidecar": {
                "description": "The library's own values, which are not read: use `sidecar`.",
                **members(**{"global": {}, **{key: {"const": value} for key, value in
                                              chart_library.defaults().items()}})}}),
        # An HTTPRoute without a gateway leads nowhere.
        "if": {"properties": {"httpRoute": {"properties": {"enabled": {"const": True}},
                                            "required": ["enabled"]}}, "required": ["httpRoute"]},
        "then": {"properties": {"httpRoute": {"properties": {"parentRefs": {"minItems": 1}}}}},
        "definitions": DEFINITIONS,
    }


def library():
    """The same for the library, whose keys are the chart's under another name."""
    types = {"rules": ref("rules"), "socketMode": matching("^(|0?[0-7]{3})$"),
             "portName": PORT_NAME, "volumePrefix": matching("^([a-z0-9][-a-z0-9]*)?$")}
    words = {key for key, _, _ in documented(chart_library.LIBRARY)}
    for path, found in TYPES.items():
        for ours, theirs in (("sidecar.", ""), ("podMonitor.", "monitor."), (
                "prometheusOperator.", "prometheusOperator.")):
            if path.startswith(ours) and theirs + path.removeprefix(ours) in words:
                types[theirs + path.removeprefix(ours)] = found
    types["monitor.enabled"] = BOOLEAN
    used, more = {}, [types]
    while more:
        names = set(re.findall(r"#/definitions/(\w+)", json.dumps(more))) - set(used)
        used |= {name: DEFINITIONS[name] for name in sorted(names)}
        more = [used[name] for name in names]
    return {**made(chart_library.LIBRARY, types, "Values of metrics-sidecar",
                   {"global": {"type": "object"}}), "definitions": dict(sorted(used.items()))}
