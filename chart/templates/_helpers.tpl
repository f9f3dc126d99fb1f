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

{{- define "simple-server.selectorLabels" -}}
app.kubernetes.io/name: {{ include "simple-server.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "simple-server.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "simple-server.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
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
{{- .Values.sidecar.native }}
{{- end }}
{{- end }}

{{/* The image has no shell: from 1.30 on the kubelet sleeps itself, before that the program does. */}}
{{- define "simple-server.sleeps" -}}
{{- semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
{{- end }}

{{- define "simple-server.sidecar" -}}
name: metrics-sidecar
image: {{ printf "%s:%s" .Values.sidecar.image.repository (default .Chart.AppVersion .Values.sidecar.image.tag) | quote }}
imagePullPolicy: {{ .Values.sidecar.image.pullPolicy }}
{{- if eq (include "simple-server.native" .) "true" }}
restartPolicy: Always
{{- end }}
args:
  - serve
  - --listen=0.0.0.0:{{ .Values.sidecar.port }}
  - --rules=/etc/metrics-sidecar/rules.json
  {{- with .Values.sidecar.args }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.sidecar.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - name: metrics
    containerPort: {{ .Values.sidecar.port }}
startupProbe:
  httpGet:
    path: /-/ready
    port: metrics
  periodSeconds: 1
  failureThreshold: 30
readinessProbe:
  httpGet:
    path: /-/ready
    port: metrics
  periodSeconds: 5
livenessProbe:
  httpGet:
    path: /-/healthy
    port: metrics
  periodSeconds: 10
  failureThreshold: 3
# The kubelet runs both containers' hooks at once. This one is the longer, so the sidecar is there
# for the app's last events and for one more scrape.
lifecycle:
  preStop:
    {{- if eq (include "simple-server.sleeps" .) "true" }}
    sleep:
      seconds: {{ .Values.sidecar.lingerSeconds }}
    {{- else }}
    exec:
      command: [/metrics-sidecar, sleep, {{ .Values.sidecar.lingerSeconds | quote }}]
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
{{- end }}

{{- define "simple-server.probe" -}}
{{- if .Values.app.healthPath }}
httpGet:
  path: {{ .Values.app.healthPath }}
  port: {{ (first .Values.app.ports).name }}
{{- else }}
tcpSocket:
  port: {{ (first .Values.app.ports).name }}
{{- end }}
{{- end }}

{{/* What both monitors say of an endpoint. */}}
{{- define "simple-server.endpoint" -}}
port: metrics
path: /metrics
interval: {{ .interval }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
relabelings:
  # `endpoint` is the app's own label; the name of the port must not take its place.
  - action: labeldrop
    regex: endpoint
  # Whichever monitor finds the pods, and by which Service.
  - targetLabel: job
    replacement: {{ .job }}
  {{- with .relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
