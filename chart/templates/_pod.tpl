{{/* Metadata and spec of the pods, whatever makes them. */}}
{{- define "simple-server.pod" -}}
{{- $taken := dict "sidecar.port" (int .Values.sidecar.port) }}
{{- if .Values.sidecar.otlp.enabled }}{{ $_ := set $taken "sidecar.otlp.listen" (regexFind "[0-9]+$" .Values.sidecar.otlp.listen | int) }}{{ end }}
{{- range $own := .Values.app.ports }}
{{- range $name, $port := $taken }}
{{- if eq $port (int $own.containerPort) }}
{{- fail (printf "app.ports has %d, which is %s: containers of a pod share their ports" $port $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- $sidecar := dict "root" . "values" (include "simple-server.sidecar" . | fromYaml) }}
{{- $native := eq (include "metrics-sidecar.native" $sidecar) "true" }}
{{- $ends := eq (include "simple-server.ends" .) "true" }}
metadata:
  labels:
    {{- include "simple-server.labels" (dict "root" . "labels" .Values.podLabels) | nindent 4 }}
  annotations:
    {{- $annotations := dict "kubectl.kubernetes.io/default-container" "app" }}
    {{- if not .Values.sidecar.rulesConfigMap }}
    {{- $_ := set $annotations "checksum/rules" (include "simple-server.rules" . | sha256sum) }}
    {{- end }}
    {{- toYaml (merge $annotations .Values.podAnnotations) | nindent 4 }}
spec:
  {{- with concat .Values.imagePullSecrets (default list (.Values.global).imagePullSecrets) | uniq }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "simple-server.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "simple-server.grace" . }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- if $ends }}
  restartPolicy: {{ .Values.workload.job.restartPolicy }}
  {{- end }}
  {{- $report := and $ends .Values.workload.report }}
  {{- if or $native .Values.extraInitContainers }}
  initContainers:
    {{- if $native }}
    -
      {{- include "metrics-sidecar.container" $sidecar | nindent 6 }}
    {{- end }}
    {{- if $report }}
    # The program that runs the app's command, for an image that does not have it.
    - name: tools
      image: {{ include "metrics-sidecar.image" (dict "root" . "image" .Values.sidecar.image) | quote }}
      imagePullPolicy: {{ .Values.sidecar.image.pullPolicy }}
      args: [copy, /tools/metrics-sidecar]
      resources:
        {{- toYaml .Values.sidecar.resources | nindent 8 }}
      securityContext:
        {{- toYaml .Values.sidecar.securityContext | nindent 8 }}
      volumeMounts:
        - name: tools
          mountPath: /tools
    {{- end }}
    {{- with .Values.extraInitContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    - name: app
      image: {{ default (include "metrics-sidecar.image" (dict "root" . "image" .Values.image)) .Values.app.image | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- $command := .Values.app.command }}
      {{- if $report }}
      {{- $command = concat (list "/tools/metrics-sidecar" "run" (printf "--name=%s" $report) (printf "--statsd-socket=%s/statsd.sock" .Values.app.socketsPath) "--") $command }}
      {{- end }}
      {{- with $command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.app.args }}
      args:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.app.env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.app.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if not $ends }}
      ports:
        {{- toYaml .Values.app.ports | nindent 8 }}
      {{- include "simple-server.appProbes" . | trim | nindent 6 }}
      {{- end }}
      {{- with include "simple-server.appLifecycle" . }}
      lifecycle:
        {{- . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- toYaml .Values.app.securityContext | nindent 8 }}
      volumeMounts:
        {{- include "metrics-sidecar.mounts" (merge (dict "path" .Values.app.socketsPath) $sidecar) | nindent 8 }}
        {{- if $report }}
        - name: tools
          mountPath: /tools
          readOnly: true
        {{- end }}
        {{- with .Values.app.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- if not $native }}
    -
      {{- include "metrics-sidecar.container" $sidecar | nindent 6 }}
    {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "metrics-sidecar.volumes" $sidecar | nindent 4 }}
    {{- if $report }}
    - name: tools
      emptyDir:
        sizeLimit: 8Mi
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with .Values.schedulerName }}
  schedulerName: {{ . }}
  {{- end }}
  {{- with .Values.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.dnsPolicy }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with .Values.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* A server gets no more traffic for five seconds before it is told to stop. */}}
{{- define "simple-server.appLifecycle" -}}
{{- if .Values.app.lifecycle }}
{{- toYaml .Values.app.lifecycle }}
{{- else if eq (include "simple-server.ends" .) "true" }}
{{- else if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version -}}
preStop:
  sleep:
    seconds: 5
{{- else if not .Values.app.image -}}
# The image has no shell, so the program sleeps itself.
preStop:
  exec:
    command: [/simple-server, sleep, '5']
{{- end }}
{{- end }}

{{/* What makes no sense where pods end by themselves is refused. */}}
{{- define "simple-server.checkEnds" -}}
{{- $kind := .Values.workload.kind }}
{{- $values := .Values }}
{{- range list "ingress" "httpRoute" "autoscaling" "podDisruptionBudget" }}
{{- if (get $values .).enabled }}{{ fail (printf "%s.enabled: a %s has no server to reach or to keep up" . $kind) }}{{ end }}
{{- end }}
{{- if not (or .Values.app.image .Values.app.command .Values.app.args) }}
{{- fail (printf "workload.kind %s: name a program that ends by app.image, app.command or app.args; the image's own is a server" $kind) }}
{{- end }}
{{- if ne (include "metrics-sidecar.native" (dict "root" . "values" .Values.sidecar)) "true" }}
{{- fail (printf "workload.kind %s needs a native sidecar, so Kubernetes 1.29: another kind of sidecar would keep the pod from ending" $kind) }}
{{- end }}
{{- if and .Values.workload.report (not .Values.app.command) }}
{{- fail "workload.report needs app.command: what the image runs by itself is not known here" }}
{{- end }}
{{- if and .Values.workload.job.podFailurePolicy (ne .Values.workload.job.restartPolicy "Never") }}
{{- fail "workload.job.podFailurePolicy needs restartPolicy Never" }}
{{- end }}
{{- end }}

{{/* The members of a dict that are set: neither an empty text nor an empty list or dict. */}}
{{- define "simple-server.given" -}}
{{- range $key, $value := . }}
{{- if or (kindIs "bool" $value) (kindIs "float64" $value) (kindIs "int64" $value) (kindIs "int" $value) $value }}
{{ toYaml (dict $key $value) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The spec of a Job. */}}
{{- define "simple-server.job" -}}
{{- $job := omit .Values.workload.job "restartPolicy" }}
{{- if semverCompare "<1.30.0-0" .Capabilities.KubeVersion.Version }}{{ $job = omit $job "successPolicy" }}{{ end }}
{{- include "simple-server.given" $job | trim }}
template:
  {{- include "simple-server.pod" . | trim | nindent 2 }}
{{- end }}
