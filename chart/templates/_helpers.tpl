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

{{- define "simple-server.rules" -}}
{{- if .Values.sidecar.rules }}
{{- include "metrics-sidecar.checkRules" .Values.sidecar.rules }}
{{- .Values.sidecar.rules | toPrettyJson }}
{{- else }}
{{- .Files.Get (ternary "files/job-rules.json" "files/rules.json" (not (not .Values.app.image))) }}
{{- end }}
{{- end }}

{{/* The image has no shell: from 1.30 on the kubelet sleeps itself, before that the program does. */}}
{{- define "simple-server.sleeps" -}}
{{- semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
{{- end }}

{{/* "true" where pods end by themselves. */}}
{{- define "simple-server.ends" -}}
{{- ne .Values.workload.kind "Deployment" }}
{{- end }}

{{/* "true" where Prometheus is to scrape the pods themselves. */}}
{{- define "simple-server.podMonitor" -}}
{{- if eq (toString .Values.podMonitor.enabled) "auto" }}
{{- and (eq (include "simple-server.ends" .) "true") (not .Values.serviceMonitor.enabled) (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PodMonitor") }}
{{- else }}
{{- .Values.podMonitor.enabled }}
{{- end }}
{{- end }}

{{/* What the templates of the library chart metrics-sidecar have to know. */}}
{{- define "simple-server.sidecar" -}}
{{- $byPods := or (eq (include "simple-server.podMonitor" .) "true") (and (eq (include "simple-server.ends" .) "true") (not .Values.serviceMonitor.enabled)) }}
{{- $rules := default (printf "%s-rules" (include "simple-server.fullname" .)) .Values.sidecar.rulesConfigMap }}
{{- $hosts := .Values.sidecar.allowedHosts }}
{{- if .Values.ingress.enabled }}{{ range .Values.ingress.hosts }}{{ $hosts = append $hosts .host }}{{ end }}{{ end }}
{{- if .Values.httpRoute.enabled }}{{ $hosts = concat $hosts .Values.httpRoute.hostnames }}{{ end }}
{{- $named := list }}
{{- range uniq $hosts }}{{ if not (hasPrefix "*." .) }}{{ $named = append $named . }}{{ end }}{{ end }}
{{- toYaml (merge (dict
  "allowedHosts" $named "rulesConfigMap" $rules "portName" "metrics" "volumePrefix" "" "socketMode" ""
  "appGraceSeconds" .Values.app.terminationGracePeriodSeconds
  "monitor" (ternary .Values.podMonitor .Values.serviceMonitor $byPods)
  "prometheusOperator" .Values.prometheusOperator) .Values.sidecar) }}
{{- end }}

{{- define "simple-server.grace" -}}
{{- $arguments := dict "root" . "values" (include "simple-server.sidecar" . | fromYaml) }}
{{- if eq (toString .Values.terminationGracePeriodSeconds) "auto" }}
{{- include "metrics-sidecar.grace" $arguments }}
{{- else }}
{{- if ge (include "metrics-sidecar.linger" $arguments | int) (int .Values.terminationGracePeriodSeconds) }}
{{- fail "sidecar.lingerSeconds has to be below terminationGracePeriodSeconds: the sidecar would be killed while it waits for the last scrape" }}
{{- end }}
{{- .Values.terminationGracePeriodSeconds }}
{{- end }}
{{- end }}

{{- define "simple-server.appProbes" -}}
{{- $port := (first .Values.app.ports).name }}
{{- $handler := dict "tcpSocket" (dict "port" $port) }}
{{- with .Values.app.healthPath }}
{{- $handler = dict "httpGet" (dict "path" . "port" $port) }}
{{- end }}
{{- include "metrics-sidecar.probe" (dict "name" "startupProbe" "probe" .Values.app.startupProbe "handler" $handler) }}
{{- include "metrics-sidecar.probe" (dict "name" "readinessProbe" "probe" .Values.app.readinessProbe "handler" $handler) }}
{{- include "metrics-sidecar.probe" (dict "name" "livenessProbe" "probe" .Values.app.livenessProbe "handler" $handler) }}
{{- end }}

