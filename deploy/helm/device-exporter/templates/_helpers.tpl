{{- define "device-exporter.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "device-exporter.fullname" -}}
{{- $name := include "device-exporter.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "device-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "device-exporter.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "device-exporter.labels" -}}
{{ include "device-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "device-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "device-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{/* Labels for every alert: what its owner gives, and what routes ask for, the AlertmanagerConfig's and those of `assets`. */}}
{{- define "device-exporter.alertLabels" -}}
{{- $labels := deepCopy .Values.alertLabels -}}
{{- if .Values.alertmanagerConfig.enabled -}}
{{- $_ := set $labels "namespace" (default .Release.Namespace .Values.alertmanagerConfig.namespace) -}}
{{- end -}}
{{- if or .Values.alertmanagerConfig.enabled (not (hasKey $labels "job")) -}}
{{- $_ := set $labels "job" .Values.serviceMonitor.job -}}
{{- end -}}
{{ toYaml $labels }}
{{- end }}

{{/* The exporter's configuration: what follows from the values, and the rest of the owner's. */}}
{{- define "device-exporter.config" -}}
{{- $secrets := "/run/secrets" -}}
{{- $admin := printf "%s-admin.%s.svc" (include "device-exporter.fullname" .) .Release.Namespace -}}
{{- $webhook := dict "listen_address" ":8080" -}}
{{- with .Values.webhook.secretKey }}{{ $_ := set $webhook "secret_file" (printf "%s/%s" $secrets .) }}{{ end -}}
{{- $web := dict "listen_address" ":9877" "allowed_hosts" (list $admin (printf "%s.cluster.local" $admin)) -}}
{{- with .Values.webConfig.secretKey }}{{ $_ := set $web "config_file" (printf "%s/%s" $secrets .) }}{{ end -}}
{{- with .Values.externalUrl }}{{ $_ := set $web "external_url" . }}{{ end -}}
{{- $alerts := dict "language" .Values.language "timezone" .Values.timezone -}}
{{- with include "device-exporter.alertLabels" . | fromYaml }}{{ $_ := set $alerts "labels" . }}{{ end -}}
{{- with .Values.runbookUrl }}{{ $_ := set $alerts "runbook_url" . }}{{ end -}}
{{- if .Values.grafanaUrl -}}
{{- $board := ternary "devices-device-id" "devices-device" (eq .Values.language "id") -}}
{{- $_ := set $alerts "dashboard_url" (printf "%s/d/%s?var-device={device_id}" (trimSuffix "/" .Values.grafanaUrl) $board) -}}
{{- end -}}
{{- $ours := dict "webhook" $webhook "web" $web "alerts" $alerts -}}
{{- with .Values.alertmanager.urls }}{{ $_ := set $ours "alertmanager" (dict "urls" .) }}{{ end -}}
{{- if .Values.pages.enabled -}}
{{- $pages := dict "listen_address" ":8081" -}}
{{- with .Values.pages.externalUrl }}{{ $_ := set $pages "external_url" . }}{{ end -}}
{{- with .Values.pages.secretKey }}{{ $_ := set $pages "secret_file" (printf "%s/%s" $secrets .) }}{{ end -}}
{{- $_ := set $ours "pages" $pages -}}
{{- end -}}
{{ toYaml (mergeOverwrite $ours (deepCopy .Values.config)) }}
{{- end }}

{{/* Names of the gateways, whose webhooks have paths of their own. */}}
{{- define "device-exporter.gateways" -}}
{{ keys (default dict .Values.config.gateways) | sortAlpha | toJson }}
{{- end }}

{{/* Where the exporter calls, as ports and, within the cluster, namespaces: Alertmanagers, hooks, gateways' own APIs. */}}
{{- define "device-exporter.calls" -}}
{{- $urls := .Values.alertmanager.urls -}}
{{- range .Values.config.failover }}{{ $urls = append $urls (dig "hook" "url" "" .) }}{{ end -}}
{{- range .Values.config.gateways }}{{ $urls = append $urls (dig "state" "url" "" .) }}{{ end -}}
{{- $calls := list -}}
{{- range $urls -}}
{{- if regexMatch "^(dns\\+)?https?://[^/\\s]+" . -}}
{{- $url := urlParse (trimPrefix "dns+" .) -}}
{{- $usual := ternary "443" "80" (eq $url.scheme "https") -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default $usual -}}
{{- $namespace := regexFind "\\.[^.]+\\.svc(\\.cluster\\.local\\.?)?$" $url.hostname | trimPrefix "." | splitList "." | first -}}
{{- $calls = append $calls (dict "port" (int $port) "namespace" $namespace) -}}
{{- end -}}
{{- end -}}
{{ uniq $calls | toJson }}
{{- end }}
