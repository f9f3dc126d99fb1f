{{/* The sidecar beside a pod's own containers. Each template takes the root context, with the values
under `metrics-sidecar`, or a dict: `root`, `values` with the same keys, and the `name` of what is made,
where a chart has more than one of them. */}}

{{/* The container: an item of `initContainers`, where metrics-sidecar.native is "true", else of
`containers`. */}}
{{- define "metrics-sidecar.container" -}}
{{- $root := default . .root -}}
{{- $values := default (index $root.Values "metrics-sidecar") .values -}}
{{- $arguments := dict "root" $root "values" $values "name" .name -}}
{{- $push := $values.push -}}
{{- $prefix := $values.volumePrefix -}}
name: metrics-sidecar
image: {{ include "metrics-sidecar.image" (dict "root" $root "image" $values.image) | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
{{- if eq (include "metrics-sidecar.native" $arguments) "true" }}
restartPolicy: Always
{{- end }}
args:
  - serve
  - --listen={{ $values.listen }}:{{ $values.port }}
  # After the app's end, for its last events and one more scrape.
  - --linger={{ include "metrics-sidecar.linger" $arguments }}s
  {{- if include "metrics-sidecar.rulesName" $arguments }}
  - --rules=/etc/metrics-sidecar/rules.json
  {{- end }}
  {{- with $values.allowedHosts }}
  - --allowed-hosts={{ join "," . }}
  {{- end }}
  {{- with $values.socketMode }}
  - --socket-mode={{ . }}
  {{- end }}
  {{- with $values.otlp }}
  {{- if .enabled }}
  - --otlp={{ .listen }}
  {{- with .resourceLabels }}
  - --otlp-resource-labels={{ join "," . }}
  {{- end }}
  {{- if .scopeLabels }}
  - --otlp-scope-labels
  {{- end }}
  {{- with .maxSize }}
  - --max-otlp-size={{ . }}
  {{- end }}
  {{- with .maxStreams }}
  - --max-otlp-streams={{ . }}
  {{- end }}
  {{- end }}
  {{- end }}
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
  {{- with $values.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - name: {{ $values.portName }}
    containerPort: {{ $values.port }}
{{- $ready := dict "httpGet" (dict "path" "/-/ready" "port" $values.portName) }}
{{- $healthy := dict "httpGet" (dict "path" "/-/healthy" "port" $values.portName) }}
{{- include "metrics-sidecar.probe" (dict "name" "startupProbe" "probe" $values.startupProbe "handler" $ready) }}
{{- include "metrics-sidecar.probe" (dict "name" "readinessProbe" "probe" $values.readinessProbe "handler" $ready) }}
{{- include "metrics-sidecar.probe" (dict "name" "livenessProbe" "probe" $values.livenessProbe "handler" $healthy) }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
securityContext:
  {{- toYaml $values.securityContext | nindent 2 }}
volumeMounts:
  - name: {{ $prefix }}sockets
    mountPath: /run/metrics
  - name: {{ $prefix }}state
    mountPath: /var/lib/metrics-sidecar
  {{- if include "metrics-sidecar.rulesName" $arguments }}
  - name: {{ $prefix }}rules
    mountPath: /etc/metrics-sidecar
    readOnly: true
  {{- end }}
  {{- if and $push.enabled $push.authSecret }}
  - name: {{ $prefix }}push-auth
    mountPath: /etc/metrics-sidecar-push
    readOnly: true
  {{- end }}
  {{- with $values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The pod's volumes that it needs. */}}
{{- define "metrics-sidecar.volumes" -}}
{{- $root := default . .root -}}
{{- $values := default (index $root.Values "metrics-sidecar") .values -}}
{{- $prefix := $values.volumePrefix -}}
- name: {{ $prefix }}sockets
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
# Of its own, so that it outlives a restart of the container and is not paid in memory.
- name: {{ $prefix }}state
  emptyDir:
    sizeLimit: {{ $values.stateSizeLimit }}
{{- with include "metrics-sidecar.rulesName" (dict "root" $root "values" $values "name" .name) }}
- name: {{ $prefix }}rules
  configMap:
    name: {{ . }}
{{- end }}
{{- if and $values.push.enabled $values.push.authSecret }}
- name: {{ $prefix }}push-auth
  secret:
    secretName: {{ $values.push.authSecret }}
    # Whatever the pod's fsGroup: nothing but the sidecar mounts it.
    defaultMode: 0444
{{- end }}
{{- end }}

{{/* The mount of a container that sends events: the folder, so that a socket that is made anew is seen. */}}
{{- define "metrics-sidecar.mounts" -}}
{{- $root := default . .root -}}
{{- $values := default (index $root.Values "metrics-sidecar") .values -}}
- name: {{ $values.volumePrefix }}sockets
  mountPath: {{ default "/run/metrics" .path }}
{{- end }}

{{/* `repository` with another registry, where one is set: the part before the first slash is one if
it has a dot or a colon. */}}
{{- define "metrics-sidecar.moved" -}}
{{- $registry := default .registry (.root.Values.global).imageRegistry }}
{{- if $registry }}
{{- printf "%s/%s" (trimSuffix "/" $registry) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" .repository "") }}
{{- else }}
{{- .repository }}
{{- end }}
{{- end }}

{{/* The reference of an `image` of the values: without tag and digest, that of this chart's version. */}}
{{- define "metrics-sidecar.image" -}}
{{- $repository := include "metrics-sidecar.moved" (dict "root" .root "registry" .image.registry "repository" .image.repository) }}
{{- if .image.digest }}
{{- printf "%s@%s" $repository .image.digest }}
{{- else }}
{{- $own := get (default dict .root.Subcharts) "metrics-sidecar" | default dict }}
{{- printf "%s:%s" $repository (required "an image needs a tag where metrics-sidecar has an alias" (default ($own.Chart).AppVersion .image.tag)) }}
{{- end }}
{{- end }}

{{/* "true" where the sidecar is an init container that stays. */}}
{{- define "metrics-sidecar.native" -}}
{{- $root := default . .root -}}
{{- $native := (default (index $root.Values "metrics-sidecar") .values).native }}
{{- if eq (toString $native) "auto" }}
{{- semverCompare ">=1.29.0-0" $root.Capabilities.KubeVersion.Version }}
{{- else }}
{{- if and $native (semverCompare "<1.28.0-0" $root.Capabilities.KubeVersion.Version) }}
{{- fail "sidecar.native needs Kubernetes 1.28: before, the pod would wait for ever for an init container that stays" }}
{{- end }}
{{- $native }}
{{- end }}
{{- end }}

{{/* "true" where the sidecar takes pushes, however it was told to. */}}
{{- define "metrics-sidecar.pushes" -}}
{{- $on := .push.enabled }}
{{- range .extraArgs }}
{{- if regexMatch "^--push(=true)?$" . }}{{ $on = true }}{{ end }}
{{- end }}
{{- range .env }}
{{- if and (eq .name "METRICS_SIDECAR_PUSH") (eq (default "" .value) "true") }}{{ $on = true }}{{ end }}
{{- end }}
{{- $on }}
{{- end }}

{{/* Whole seconds of a time such as 1m30s; of an empty one, Prometheus' minute. */}}
{{- define "metrics-sidecar.seconds" -}}
{{- $seconds := 0 }}
{{- range regexFindAll "[0-9]+(ms|[smhd])" (default "1m" .) -1 }}
{{- $number := regexFind "[0-9]+" . | int }}
{{- $factor := get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) (regexFind "[a-z]+" .) }}
{{- $seconds = add $seconds (mul $number (default 0 $factor)) }}
{{- end }}
{{- $seconds }}
{{- end }}

{{/* Seconds for the last scrape: the monitor's interval, and 15 in which it comes about. */}}
{{- define "metrics-sidecar.linger" -}}
{{- $root := default . .root -}}
{{- $values := default (index $root.Values "metrics-sidecar") .values -}}
{{- if eq (toString $values.lingerSeconds) "auto" }}
{{- add 15 (include "metrics-sidecar.seconds" $values.monitor.interval) }}
{{- else }}
{{- $values.lingerSeconds }}
{{- end }}
{{- end }}

{{/* Seconds that a pod has to stop: its own containers' `appGraceSeconds`, then the last scrape. */}}
{{- define "metrics-sidecar.grace" -}}
{{- $root := default . .root -}}
{{- $values := default (index $root.Values "metrics-sidecar") .values -}}
{{- add $values.appGraceSeconds (include "metrics-sidecar.linger" (dict "root" $root "values" $values)) 5 }}
{{- end }}

{{/* A probe of the values, with `handler` where it has none of its own; named `name`. */}}
{{- define "metrics-sidecar.probe" -}}
{{- if .probe.enabled }}
{{ .name }}:
  {{- $probe := omit .probe "enabled" }}
  {{- if not (or $probe.httpGet $probe.tcpSocket $probe.exec $probe.grpc) }}
  {{- $probe = merge (dict) $probe .handler }}
  {{- end }}
  {{- toYaml $probe | nindent 2 }}
{{- end }}
{{- end }}
