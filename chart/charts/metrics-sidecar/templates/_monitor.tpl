{{/* Name of what is made for the release. */}}
{{- define "metrics-sidecar.name" -}}
{{- default (printf "%s-metrics-sidecar" .root.Release.Name) .name | trunc 56 | trimSuffix "-" }}
{{- end }}

{{/* The labels of a release's pods, as `helm create` has them. */}}
{{- define "metrics-sidecar.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "metrics-sidecar.labels" -}}
{{ include "metrics-sidecar.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* A PodMonitor of the pods with the sidecar. `selector` has their labels; without, they are
`helm create`'s. */}}
{{- define "metrics-sidecar.monitor" -}}
{{- $root := default . .root -}}
{{- $values := default (index $root.Values "metrics-sidecar") .values -}}
{{- $monitor := $values.monitor -}}
{{- if $monitor.enabled -}}
{{- $name := include "metrics-sidecar.name" (dict "root" $root "name" .name) -}}
{{- $arguments := dict "root" $root "values" $values "monitor" $monitor "job" $name "namespace" $root.Release.Namespace -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ $name }}
  namespace: {{ default $root.Release.Namespace $monitor.namespace }}
  labels:
    {{- toYaml (merge (dict) $monitor.labels (include "metrics-sidecar.labels" $root | fromYaml)) | nindent 4 }}
  {{- with $monitor.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  selector:
    matchLabels:
      {{- if .selector }}
      {{- toYaml .selector | nindent 6 }}
      {{- else }}
      {{- include "metrics-sidecar.selector" $root | nindent 6 }}
      {{- end }}
  {{- include "metrics-sidecar.monitored" $arguments | nindent 2 }}
  podMetricsEndpoints:
    -
      {{- include "metrics-sidecar.endpoint" $arguments | nindent 6 }}
{{- end }}
{{- end }}

{{/* Whether the operator's CRDs have what came with this version of it. */}}
{{- define "metrics-sidecar.operatorHas" -}}
{{- semverCompare (printf ">=%s-0" .version) .operator }}
{{- end }}

{{/* What a monitor says of all its endpoints: `monitor` of the values, the pods' `namespace`. */}}
{{- define "metrics-sidecar.monitored" -}}
{{- $operator := .values.prometheusOperator.version -}}
namespaceSelector:
  matchNames:
    - {{ .namespace }}
{{- if eq (include "metrics-sidecar.operatorHas" (dict "operator" $operator "version" "0.72.0")) "true" }}
{{- with .monitor.scrapeProtocols }}
scrapeProtocols:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- if eq (include "metrics-sidecar.operatorHas" (dict "operator" $operator "version" "0.88.0")) "true" }}
scrapeNativeHistograms: {{ .monitor.scrapeNativeHistograms }}
{{- if .monitor.scrapeClassicHistograms }}
scrapeClassicHistograms: true
{{- end }}
{{- end }}
{{- with .monitor.spec }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The endpoint of a monitor; `job` is the label's value where the monitor has none. */}}
{{- define "metrics-sidecar.endpoint" -}}
port: {{ .values.portName }}
path: /metrics
{{- with .monitor.interval }}
interval: {{ . }}
{{- end }}
{{- with .monitor.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- $honor := toString .monitor.honorLabels }}
{{- if eq $honor "auto" }}{{ $honor = include "metrics-sidecar.pushes" .values }}{{ end }}
honorLabels: {{ $honor }}
relabelings:
  # `endpoint` is the app's own label; the name of the port must not take its place.
  - action: labeldrop
    regex: endpoint
  # Whichever monitor finds the pods, and by which Service.
  - targetLabel: job
    replacement: {{ default .job .monitor.job | quote }}
  {{- with .monitor.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
