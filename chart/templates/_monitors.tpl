{{/* Whether the operator's CRDs have what came with this version of it. */}}
{{- define "simple-server.operatorHas" -}}
{{- semverCompare (printf ">=%s-0" .version) .root.Values.prometheusOperator.version }}
{{- end }}

{{/* What both monitors say of all their endpoints: `root`, and `values` of the monitor. */}}
{{- define "simple-server.monitor" -}}
namespaceSelector:
  matchNames:
    - {{ include "simple-server.namespace" .root }}
{{- if eq (include "simple-server.operatorHas" (dict "root" .root "version" "0.72.0")) "true" }}
{{- with .values.scrapeProtocols }}
scrapeProtocols:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- if eq (include "simple-server.operatorHas" (dict "root" .root "version" "0.88.0")) "true" }}
scrapeNativeHistograms: {{ .values.scrapeNativeHistograms }}
{{- if .values.scrapeClassicHistograms }}
scrapeClassicHistograms: true
{{- end }}
{{- end }}
{{- with .values.spec }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "simple-server.endpoint" -}}
port: metrics
path: /metrics
{{- with .values.interval }}
interval: {{ . }}
{{- end }}
{{- with .values.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- $honor := toString .values.honorLabels }}
{{- if eq $honor "auto" }}{{ $honor = include "simple-server.pushes" .root }}{{ end }}
honorLabels: {{ $honor }}
relabelings:
  # `endpoint` is the app's own label; the name of the port must not take its place.
  - action: labeldrop
    regex: endpoint
  # Whichever monitor finds the pods, and by which Service.
  - targetLabel: job
    replacement: {{ default (include "simple-server.fullname" .root) .values.job | quote }}
  {{- with .values.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .values.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
