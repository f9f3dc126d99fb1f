{{/* What the schema cannot say of `rules`, because two of its parts are compared. The words
are those of `metrics-sidecar check-rules`, which looks once more when the sidecar starts. */}}
{{- define "metrics-sidecar.checkRules" -}}
{{- $first := dict }}
{{- range $number, $family := .families }}
{{- if ne (default "feed" $family.action) "drop" }}
{{- $where := printf "sidecar.rules.families[%d] (%s): " $number $family.name }}
{{- if hasKey $first $family.name }}
{{- $known := get $first $family.name }}
{{- range $member, $_ := omit $family "name" "type" "labels" "constants" "events" "other_tags" "honor_labels" "action" }}
{{- fail (printf "%s%q belongs to the first entry of the family" $where $member) }}
{{- end }}
{{- $types := list (default $known.type $family.type) $known.type | uniq }}
{{- if gt (len (without $types "event")) 1 }}
{{- fail (printf "%sthere is a family of another type already" $where) }}
{{- end }}
{{- else }}
{{- if not $family.type }}{{ fail (printf "%sa family needs a \"type\"" $where) }}{{ end }}
{{- $_ := set $first $family.name $family }}
{{- end }}
{{- range $member := list "buckets" "quantiles" }}
{{- $numbers := get $family $member | default list }}
{{- range $index, $value := $numbers }}
{{- if and $index (le (float64 $value) (float64 (index $numbers (sub $index 1)))) }}
{{- fail (printf "%s%s: each is above the one before it" $where $member) }}
{{- end }}
{{- end }}
{{- end }}
{{- $labels := $family.labels | default list }}
{{- $tags := $labels }}
{{- if kindIs "map" $labels }}{{ $tags = values $labels }}{{ $labels = keys $labels }}{{ end }}
{{- range keys ($family.constants | default dict) }}
{{- if has . $labels }}{{ fail (printf "%sthe label %s is there twice" $where .) }}{{ end }}
{{- end }}
{{- if and $family.exemplar (has $family.exemplar $tags) }}
{{- fail (printf "%san exemplar's tag cannot be a label too" $where) }}
{{- end }}
{{- range $text := concat (list $family.name) (values ($family.constants | default dict)) }}
{{- range $capture := regexFindAll "\\$([1-9]|\\{[0-9]{1,2}\\})" (replace "$$" "" $text) -1 }}
{{- $wanted := regexFind "[0-9]+" $capture | trimPrefix "0" | int | max 1 }}
{{- range $family.events }}
{{- if and .event (lt (len (regexFindAll "\\*+" (default "" .event) -1)) (int $wanted)) }}
{{- fail (printf "%s%s in %s: an event of this family has fewer * or groups" $where $capture $text) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Name of the ConfigMap with the rules, or nothing. */}}
{{- define "metrics-sidecar.rulesName" -}}
{{- if .values.rulesConfigMap }}
{{- .values.rulesConfigMap }}
{{- else if .values.rules }}
{{- printf "%s-rules" (include "metrics-sidecar.name" (dict "root" .root "name" .name)) }}
{{- end }}
{{- end }}

{{/* The ConfigMap with `rules`, where there are any. */}}
{{- define "metrics-sidecar.rules" -}}
{{- $root := default . .root -}}
{{- $values := default (index $root.Values "metrics-sidecar") .values -}}
{{- if and $values.rules (not $values.rulesConfigMap) -}}
{{- include "metrics-sidecar.checkRules" $values.rules -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "metrics-sidecar.rulesName" (dict "root" $root "values" $values "name" .name) }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "metrics-sidecar.labels" $root | nindent 4 }}
data:
  rules.json: |
    {{- toPrettyJson $values.rules | nindent 4 }}
{{- end }}
{{- end }}
