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
app.kubernetes.io/name: {{ include "device-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
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

{{/* Labels for every alert: what its owner gives, and the namespace that the routes of an AlertmanagerConfig ask for. */}}
{{- define "device-exporter.alertLabels" -}}
{{- $labels := deepCopy .Values.alertLabels -}}
{{- if .Values.alertmanagerConfig.enabled -}}
{{- $_ := set $labels "namespace" (default .Release.Namespace .Values.alertmanagerConfig.namespace) -}}
{{- end -}}
{{ toYaml $labels }}
{{- end }}

{{/* The exporter's configuration: what follows from the values, and the owner's over it. */}}
{{- define "device-exporter.config" -}}
{{- $secrets := "/run/secrets" -}}
{{- $admin := printf "%s-admin.%s.svc" (include "device-exporter.fullname" .) .Release.Namespace -}}
{{- $webhook := dict "listen_address" ":8080" -}}
{{- with .Values.webhook.secretKey }}{{ $_ := set $webhook "secret_file" (printf "%s/%s" $secrets .) }}{{ end -}}
{{- $web := dict "listen_address" ":9877" "allowed_hosts" (list $admin (printf "%s.cluster.local" $admin)) -}}
{{- with .Values.webConfig.secretKey }}{{ $_ := set $web "config_file" (printf "%s/%s" $secrets .) }}{{ end -}}
{{- $alerts := dict "language" .Values.language "timezone" .Values.timezone -}}
{{- with include "device-exporter.alertLabels" . | fromYaml }}{{ $_ := set $alerts "labels" . }}{{ end -}}
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

{{/* The paths of the webhooks: the platform's exactly, and what begins with a gateway's. */}}
{{- define "device-exporter.gateways" -}}
{{ keys (default dict .Values.config.gateways) | sortAlpha | toJson }}
{{- end }}

{{/* Whether anything is called outside of the cluster: the relay's services, hooks, gateways. */}}
{{- define "device-exporter.callsOut" -}}
{{- $config := .Values.config -}}
{{- if or $config.notify $config.failover $config.gateways }}yes{{ end -}}
{{- end }}

{{- define "device-exporter.check" -}}
{{- if and (gt (int .Values.replicas) 1) (ne .Values.storage.kind "postgresql") -}}
{{ fail "replicas: more than one exporter needs storage.kind: postgresql" }}
{{- end -}}
{{- if eq .Values.storage.kind "postgresql" -}}
{{- if not (and .Values.existingSecret .Values.webhook.secretKey) -}}
{{ fail "storage.kind: postgresql needs existingSecret, with the database's URL and the webhook's secret, and webhook.secretKey" }}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.storage.kind "postgresql") .Values.pages.enabled (not .Values.pages.secretKey) -}}
{{ fail "pages.secretKey: is needed beside storage.kind postgresql, or each exporter would sign links with a secret of its own" }}
{{- end -}}
{{- range $name, $key := dict "webhook" .Values.webhook.secretKey "webConfig" .Values.webConfig.secretKey "pages" .Values.pages.secretKey -}}
{{- if and $key (not $.Values.existingSecret) -}}
{{ fail (printf "%s.secretKey: is a key of existingSecret, which has no name" $name) }}
{{- end -}}
{{- end -}}
{{- end }}
