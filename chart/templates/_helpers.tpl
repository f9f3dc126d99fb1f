{{- define "simple-server.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "simple-server.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* A Service's name has at most 63 characters. */}}
{{- define "simple-server.metricsName" -}}
{{- include "simple-server.fullname" . | trunc 55 | trimSuffix "-" }}-metrics
{{- end }}

{{- define "simple-server.pushName" -}}
{{- include "simple-server.fullname" . | trunc 55 | trimSuffix "-" }}-push
{{- end }}

{{- define "simple-server.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "simple-server.selectorLabels" -}}
app.kubernetes.io/name: {{ include "simple-server.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of `root` and more of them; where two have one name, the chart's own win. */}}
{{- define "simple-server.labels" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- $own := dict "helm.sh/chart" $chart "app.kubernetes.io/version" .root.Chart.AppVersion "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $selector := include "simple-server.selectorLabels" .root | fromYaml }}
{{- toYaml (merge (dict) (default dict .own) $selector $own (default dict .labels) .root.Values.commonLabels) }}
{{- end }}

{{/* Metadata of a resource of `root`: its `name`, if it is not the release's, and what its `values`
say of namespace, labels and annotations; `own` labels win. */}}
{{- define "simple-server.metadata" -}}
{{- $values := default dict .values -}}
name: {{ default (include "simple-server.fullname" .root) .name }}
namespace: {{ default (include "simple-server.namespace" .root) $values.namespace }}
labels:
  {{- include "simple-server.labels" (dict "root" .root "own" .own "labels" $values.labels) | nindent 2 }}
{{- with merge (dict) (default dict $values.annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "simple-server.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "simple-server.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* `repository` with another registry, where one is set: the part before the first slash is one if
it has a dot or a colon. */}}
{{- define "simple-server.moved" -}}
{{- $registry := default .registry (.root.Values.global).imageRegistry }}
{{- if $registry }}
{{- printf "%s/%s" (trimSuffix "/" $registry) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" .repository "") }}
{{- else }}
{{- .repository }}
{{- end }}
{{- end }}

{{/* The reference of an `image` of the values. */}}
{{- define "simple-server.image" -}}
{{- $repository := include "simple-server.moved" (dict "root" .root "registry" .image.registry "repository" .image.repository) }}
{{- if .image.digest }}
{{- printf "%s@%s" $repository .image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .root.Chart.AppVersion .image.tag) }}
{{- end }}
{{- end }}

{{- define "simple-server.rules" -}}
{{- if .Values.sidecar.rules }}
{{- include "simple-server.checkRules" .Values.sidecar.rules }}
{{- .Values.sidecar.rules | toPrettyJson }}
{{- else }}
{{- .Files.Get "files/rules.json" }}
{{- end }}
{{- end }}

{{/* "true" where the sidecar is an init container that stays. */}}
{{- define "simple-server.native" -}}
{{- if eq (toString .Values.sidecar.native) "auto" }}
{{- semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version }}
{{- else }}
{{- if and .Values.sidecar.native (semverCompare "<1.28.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail "sidecar.native needs Kubernetes 1.28: before, the pod would wait for ever for an init container that stays" }}
{{- end }}
{{- .Values.sidecar.native }}
{{- end }}
{{- end }}

{{/* The image has no shell: from 1.30 on the kubelet sleeps itself, before that the program does. */}}
{{- define "simple-server.sleeps" -}}
{{- semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
{{- end }}

{{/* "true" where the sidecar takes pushes, however it was told to. */}}
{{- define "simple-server.pushes" -}}
{{- $on := .Values.sidecar.push.enabled }}
{{- range .Values.sidecar.extraArgs }}
{{- if regexMatch "^--push(=true)?$" . }}{{ $on = true }}{{ end }}
{{- end }}
{{- range .Values.sidecar.env }}
{{- if and (eq .name "METRICS_SIDECAR_PUSH") (eq (default "" .value) "true") }}{{ $on = true }}{{ end }}
{{- end }}
{{- $on }}
{{- end }}

{{/* Whole seconds of a time such as 1m30s; of an empty one, Prometheus' minute. */}}
{{- define "simple-server.seconds" -}}
{{- $seconds := 0 }}
{{- range regexFindAll "[0-9]+(ms|[smhd])" (default "1m" .) -1 }}
{{- $number := regexFind "[0-9]+" . | int }}
{{- $factor := get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) (regexFind "[a-z]+" .) }}
{{- $seconds = add $seconds (mul $number (default 0 $factor)) }}
{{- end }}
{{- $seconds }}
{{- end }}

{{- define "simple-server.linger" -}}
{{- if eq (toString .Values.sidecar.lingerSeconds) "auto" }}
{{- $monitor := ternary .Values.podMonitor .Values.serviceMonitor .Values.podMonitor.enabled }}
{{- add 15 (include "simple-server.seconds" $monitor.interval) }}
{{- else }}
{{- .Values.sidecar.lingerSeconds }}
{{- end }}
{{- end }}

{{- define "simple-server.grace" -}}
{{- if eq (toString .Values.terminationGracePeriodSeconds) "auto" }}
{{- add .Values.app.terminationGracePeriodSeconds (include "simple-server.linger" .) 5 }}
{{- else }}
{{- if ge (include "simple-server.linger" . | int) (int .Values.terminationGracePeriodSeconds) }}
{{- fail "sidecar.lingerSeconds has to be below terminationGracePeriodSeconds: the sidecar would be killed while it waits for the last scrape" }}
{{- end }}
{{- .Values.terminationGracePeriodSeconds }}
{{- end }}
{{- end }}

{{/* A probe of the values, with `handler` where it has none of its own; named `name`. */}}
{{- define "simple-server.probe" -}}
{{- if .probe.enabled }}
{{ .name }}:
  {{- $probe := omit .probe "enabled" }}
  {{- if not (or $probe.httpGet $probe.tcpSocket $probe.exec $probe.grpc) }}
  {{- $probe = merge (dict) $probe .handler }}
  {{- end }}
  {{- toYaml $probe | nindent 2 }}
{{- end }}
{{- end }}

{{- define "simple-server.appProbes" -}}
{{- $port := (first .Values.app.ports).name }}
{{- $handler := dict "tcpSocket" (dict "port" $port) }}
{{- with .Values.app.healthPath }}
{{- $handler = dict "httpGet" (dict "path" . "port" $port) }}
{{- end }}
{{- include "simple-server.probe" (dict "name" "startupProbe" "probe" .Values.app.startupProbe "handler" $handler) }}
{{- include "simple-server.probe" (dict "name" "readinessProbe" "probe" .Values.app.readinessProbe "handler" $handler) }}
{{- include "simple-server.probe" (dict "name" "livenessProbe" "probe" .Values.app.livenessProbe "handler" $handler) }}
{{- end }}

{{- define "simple-server.sidecarProbes" -}}
{{- $ready := dict "httpGet" (dict "path" "/-/ready" "port" "metrics") }}
{{- $healthy := dict "httpGet" (dict "path" "/-/healthy" "port" "metrics") }}
{{- include "simple-server.probe" (dict "name" "startupProbe" "probe" .Values.sidecar.startupProbe "handler" $ready) }}
{{- include "simple-server.probe" (dict "name" "readinessProbe" "probe" .Values.sidecar.readinessProbe "handler" $ready) }}
{{- include "simple-server.probe" (dict "name" "livenessProbe" "probe" .Values.sidecar.livenessProbe "handler" $healthy) }}
{{- end }}

{{- define "simple-server.sidecar" -}}
{{- $push := .Values.sidecar.push -}}
name: metrics-sidecar
image: {{ include "simple-server.image" (dict "root" . "image" .Values.sidecar.image) | quote }}
imagePullPolicy: {{ .Values.sidecar.image.pullPolicy }}
{{- if eq (include "simple-server.native" .) "true" }}
restartPolicy: Always
{{- end }}
args:
  - serve
  - --listen={{ .Values.sidecar.listen }}:{{ .Values.sidecar.port }}
  - --rules=/etc/metrics-sidecar/rules.json
  {{- if $push.enabled }}
  - --push
  - --push-ttl={{ $push.ttl }}
  {{- if $push.aggregate }}
  - --push-aggregate
  {{- end }}
  {{- if $push.authSecret }}
  - --push-auth=/etc/metrics-sidecar-push/{{ $push.authKey }}
  {{- end }}
  {{- end }}
  {{- with .Values.sidecar.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.sidecar.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - name: metrics
    containerPort: {{ .Values.sidecar.port }}
{{- include "simple-server.sidecarProbes" . }}
# The kubelet runs both containers' hooks at once. This one is the longer, so the sidecar is there
# for the app's last events and for one more scrape.
lifecycle:
  preStop:
    {{- if eq (include "simple-server.sleeps" .) "true" }}
    sleep:
      seconds: {{ include "simple-server.linger" . }}
    {{- else }}
    exec:
      command: [/metrics-sidecar, sleep, {{ include "simple-server.linger" . | quote }}]
    {{- end }}
resources:
  {{- toYaml .Values.sidecar.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.sidecar.securityContext | nindent 2 }}
volumeMounts:
  - name: sockets
    mountPath: /run/metrics
  - name: state
    mountPath: /var/lib/metrics-sidecar
  - name: rules
    mountPath: /etc/metrics-sidecar
    readOnly: true
  {{- if and $push.enabled $push.authSecret }}
  - name: push-auth
    mountPath: /etc/metrics-sidecar-push
    readOnly: true
  {{- end }}
  {{- with .Values.sidecar.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
