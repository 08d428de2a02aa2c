{{/*
What cannot work is refused with a sentence before anything is installed. What the checks know of the exporter's
configuration comes from the exporter: files/configuration.yaml is generated.
*/}}
{{- define "device-exporter.check" -}}
{{- $known := .Files.Get "files/configuration.yaml" | fromYaml -}}
{{- include "device-exporter.checkExporters" . -}}
{{- include "device-exporter.checkSecrets" (dict "root" . "known" $known) -}}
{{- include "device-exporter.checkPlainSecrets" . -}}
{{- include "device-exporter.checkAddresses" . -}}
{{- include "device-exporter.checkWays" . -}}
{{- include "device-exporter.checkNames" (dict "root" . "known" $known) -}}
{{- include "device-exporter.checkOperator" . -}}
{{- end }}

{{- define "device-exporter.checkExporters" -}}
{{- if and (gt (int .Values.replicas) 1) (ne .Values.storage.kind "postgresql") -}}
{{ fail "replicas: more than one exporter needs storage.kind: postgresql" }}
{{- end -}}
{{- if eq .Values.storage.kind "postgresql" -}}
{{- if not (and .Values.existingSecret .Values.webhook.secretKey) -}}
{{ fail "storage.kind: postgresql needs existingSecret, with the database's URL and the webhook's secret, and webhook.secretKey" }}
{{- end -}}
{{- if not .Values.storage.urlKey -}}
{{ fail "storage.urlKey: names no key of existingSecret with the database's URL" }}
{{- end -}}
{{- if and .Values.pages.enabled (not .Values.pages.secretKey) -}}
{{ fail "pages.secretKey: is needed beside storage.kind postgresql, or each exporter would sign links with a secret of its own" }}
{{- end -}}
{{- end -}}
{{- if and .Values.image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .Values.image.digest)) -}}
{{ fail "image.digest: expected sha256: and 64 hexadecimal digits" }}
{{- end -}}
{{- end }}

{{/* Places of a key in a tree, such as `gateways.*.secret` or `failover.[].hook.secret`, one after another. */}}
{{- define "device-exporter.places" -}}
{{- $path := .path -}}
{{- $at := .at -}}
{{- if not $path -}}
{{ $at }}{{ "\n" }}
{{- else if kindIs "slice" .node -}}
{{- range $place, $one := .node -}}
{{- if eq (first $path) "[]" -}}
{{ include "device-exporter.places" (dict "node" $one "path" (rest $path) "at" (printf "%s[%d]" $at $place)) }}
{{- end -}}
{{- end -}}
{{- else if kindIs "map" .node -}}
{{- range $name, $one := .node -}}
{{- if or (eq (first $path) "*") (eq (first $path) $name) -}}
{{ include "device-exporter.places" (dict "node" $one "path" (rest $path) "at" (printf "%s.%s" $at $name)) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Keys that the chart sets itself, and the value that does it. */}}
{{- define "device-exporter.setByTheChart" -}}
webhook.listen_address: the port is 8080, and service, ingress and route lead to it
web.listen_address: the port is 9877, and the admin service leads to it
pages.listen_address: pages.enabled turns it on, at port 8081
webhook.secret_file: webhook.secretKey
pages.secret_file: pages.secretKey
web.config_file: webConfig.secretKey
web.external_url: externalUrl
pages.external_url: pages.externalUrl
storage.url: storage.kind, and for PostgreSQL storage.urlKey
storage.url_file: storage.kind, and for PostgreSQL storage.urlKey
alertmanager.urls: alertmanager.urls beside config, which networkPolicy follows
alerts.language: language
alerts.timezone: timezone
alerts.labels: alertLabels, which the rules follow
alerts.dashboard_url: grafanaUrl
alerts.runbook_url: runbookUrl
{{- end }}

{{/* No secret in a ConfigMap or in the pod's description, and one place for each setting. */}}
{{- define "device-exporter.checkSecrets" -}}
{{- $values := .root.Values -}}
{{- $ours := include "device-exporter.setByTheChart" . | fromYaml -}}
{{- $rules := list -}}
{{- range $key, $instead := $ours -}}
{{- $rules = append $rules (dict "key" $key "variable" (printf "DEVICE_EXPORTER_%s" ($key | replace "." "_" | upper)) "said" (printf "the chart sets it: %s" $instead) "ours" true) -}}
{{- end -}}
{{- range .known.secrets -}}
{{- if not (hasKey $ours .key) -}}
{{- $name := splitList "." .key | last -}}
{{- $said := printf "is a secret, which everybody could read here: put it into the Secret that existingSecret names, and write %s_file: /run/secrets/KEY into config" $name -}}
{{- $rules = append $rules (dict "key" .key "variable" .variable "said" $said "ours" false) -}}
{{- end -}}
{{- end -}}
{{- range $rules -}}
{{- $rule := . -}}
{{- $places := include "device-exporter.places" (dict "node" $values.config "path" (splitList "." .key) "at" "config") | trim -}}
{{- if $places -}}
{{ fail (printf "%s: %s" (splitList "\n" $places | join ", ") .said) }}
{{- end -}}
{{- range $values.extraArgs -}}
{{- $name := trimPrefix "--" . | splitList "=" | first -}}
{{- if regexMatch (printf "^%s$" $rule.variable) (printf "DEVICE_EXPORTER_%s" ($name | replace "." "_" | replace "-" "_" | upper)) -}}
{{ fail (printf "extraArgs: --%s: %s" $name $rule.said) }}
{{- end -}}
{{- end -}}
{{- range $values.extraEnv -}}
{{- if and (regexMatch (printf "^%s$" $rule.variable) .name) (or $rule.ours .value) -}}
{{ fail (printf "extraEnv: %s: %s" .name $rule.said) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq "true" (include "device-exporter.urlWithPassword" $values.extraArgs) -}}
{{ fail "extraArgs: a URL holds a password, which everybody could read here; name a file of existingSecret in config" }}
{{- end -}}
{{- if eq "true" (include "device-exporter.urlWithPassword" (list $values.config $values.alertmanager.urls)) -}}
{{ fail "config, alertmanager.urls: a URL holds a password, which everybody could read here; name a file of existingSecret: basic_auth.password_file, urls_file, secret_file or key_file" }}
{{- end -}}
{{- range $values.extraEnv -}}
{{- if eq "true" (include "device-exporter.urlWithPassword" .) -}}
{{ fail (printf "extraEnv: %s: a URL holds a password, which everybody could read here; take it from a Secret by valueFrom" .name) }}
{{- end -}}
{{- end -}}
{{- $named := contains "/run/secrets/" (toJson $values.config) -}}
{{- if and $named (not $values.existingSecret) (not $values.extraVolumeMounts) -}}
{{ fail "config: names files under /run/secrets, which are keys of existingSecret, and that has no name" }}
{{- end -}}
{{- range $name, $key := dict "webhook" $values.webhook.secretKey "webConfig" $values.webConfig.secretKey "pages" $values.pages.secretKey -}}
{{- if and $key (not $values.existingSecret) -}}
{{ fail (printf "%s.secretKey: is a key of existingSecret, which has no name" $name) }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* "true" where a URL within any values holds a password. */}}
{{- define "device-exporter.urlWithPassword" -}}
{{ regexMatch "://[^/@\"\\s]*:[^/@\"\\s]+@" (toJson .) }}
{{- end }}

{{/* Objects of operators refer to secrets by name and key: one that stands there as a text is in the open. */}}
{{- define "device-exporter.checkPlainSecrets" -}}
{{- $places := dict "serviceMonitor" .Values.serviceMonitor -}}
{{- range $name, $ways := .Values.alertmanagerConfig.receivers -}}
{{- range $kind, $way := $ways -}}
{{- $_ := set $places (printf "alertmanagerConfig.receivers.%s.%s" $name $kind) $way -}}
{{- end -}}
{{- end -}}
{{- range $place, $given := $places -}}
{{- $secret := "[A-Za-z0-9]*([Pp]assword|[Tt]oken|[Ss]ecret|[Cc]redentials|(api|routing|service|user|access|secret)Key)|webhookUrl" -}}
{{- if regexMatch "(slack|discord)Configs$" $place -}}{{- $secret = printf "%s|apiURL" $secret -}}{{- end -}}
{{- $found := regexFind (printf "\"(%s)\":[\"0-9]" $secret) (toJson $given) -}}
{{- if $found -}}
{{ fail (printf "%s: %s is a secret, which everybody could read here; expected {name: of a Secret, key: in it}" $place (regexFind "\\w+" $found)) }}
{{- end -}}
{{- if eq "true" (include "device-exporter.urlWithPassword" $given) -}}
{{ fail (printf "%s: a URL holds a password, which everybody could read here; httpConfig.basicAuth or urlSecret name a key of a Secret" $place) }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "device-exporter.checkAddresses" -}}
{{- range $name, $url := dict "externalUrl" .Values.externalUrl "grafanaUrl" .Values.grafanaUrl "runbookUrl" .Values.runbookUrl "pages.externalUrl" .Values.pages.externalUrl -}}
{{- if and $url (not (regexMatch "^https?://[^/@:\\s\"]+(:[0-9]+)?(/[^\\s\"]*)?$" $url)) -}}
{{ fail (printf "%s: expected an address such as https://alerts.example.com" $name) }}
{{- end -}}
{{- end -}}
{{- range $place, $url := .Values.alertmanager.urls -}}
{{- if not (regexMatch "^(dns\\+)?https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]+)?(/[^\\s?#]*)?$" (toString $url)) -}}
{{ fail (printf "alertmanager.urls[%d]: expected an address such as http://alertmanager:9093 or dns+http://alertmanager-operated.monitoring.svc:9093" $place) }}
{{- end -}}
{{- end -}}
{{- if ne (len .Values.alertmanager.urls) (len (uniq .Values.alertmanager.urls)) -}}
{{ fail "alertmanager.urls: names the same Alertmanager twice" }}
{{- end -}}
{{- if and (eq .Values.webConfig.scheme "https") (not .Values.webConfig.secretKey) -}}
{{ fail "webConfig.scheme: https comes from a web configuration with a certificate: webConfig.secretKey names none" }}
{{- end -}}
{{- if and .Values.reloader.enabled .Values.webConfig.secretKey -}}
{{ fail "reloader.enabled: the sidecar knows no password and no certificate of webConfig, so that no reload would reach the exporter; without it a changed configuration starts the pod anew, which loses nothing" }}
{{- end -}}
{{- end }}

{{/* Ingresses and routes: for a listener that is on, and for the names of somebody. */}}
{{- define "device-exporter.checkWays" -}}
{{- with .Values -}}
{{- if and .networkPolicy.enabled .networkPolicy.ingressNamespaces (not .networkPolicy.extraIngress) (ne .service.type "ClusterIP") -}}
{{ fail (printf "networkPolicy.ingressNamespaces: who calls a service of type %s is in no namespace, and would be shut out; name none, or let them in by extraIngress" .service.type) }}
{{- end -}}
{{- end -}}
{{- $pages := .Values.pages -}}
{{- range $kind, $ways := dict "ingress" .Values.ingress "route" .Values.route -}}
{{- range $name, $way := $ways -}}
{{- if $way.enabled -}}
{{- $hosts := ternary "hosts" "hostnames" (eq $kind "ingress") -}}
{{- if not (get $way $hosts) -}}
{{ fail (printf "%s.%s.%s: names no host, so that it would take what is meant for others" $kind $name $hosts) }}
{{- end -}}
{{- if and (eq $kind "route") (not $way.parentRefs) -}}
{{ fail (printf "route.%s.parentRefs: names no Gateway" $name) }}
{{- end -}}
{{- if and (eq $name "pages") (not $pages.enabled) -}}
{{ fail (printf "%s.pages.enabled: leads to the listener of pages, and pages.enabled is false" $kind) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (or $pages.externalUrl $pages.secretKey .Values.config.pages) (not $pages.enabled) -}}
{{ fail "pages.externalUrl, pages.secretKey, config.pages: are for the listener of pages, and pages.enabled is false" }}
{{- end -}}
{{- end }}

{{- define "device-exporter.checkNames" -}}
{{- $known := .known -}}
{{- $selected := include "device-exporter.selectorLabels" .root | fromYaml -}}
{{- $fullname := include "device-exporter.fullname" .root -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $fullname) -}}
{{ fail (printf "nameOverride, fullnameOverride, the release's name: %s cannot be the name of a Service, which begins with a letter and has a-z, 0-9 and -" $fullname) }}
{{- end -}}
{{- range $name, $labels := dict "podLabels" .root.Values.podLabels "commonLabels" .root.Values.commonLabels -}}
{{- range $label, $_ := $labels -}}
{{- if hasKey $selected $label -}}
{{ fail (printf "%s.%s: the chart selects its pods by this label; nameOverride changes the name" $name $label) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $ours := include "device-exporter.labels" .root | fromYaml -}}
{{- range $label, $_ := .root.Values.podLabels -}}
{{- if hasKey $ours $label -}}
{{ fail (printf "podLabels.%s: the pods have a label of this name already" $label) }}
{{- end -}}
{{- end -}}
{{- range $name, $_ := .root.Values.config.gateways -}}
{{- if or (eq $name $known.gatewayTaken) (not (regexMatch $known.gatewayName $name)) -}}
{{ fail (printf "config.gateways.%s: a gateway's name has 1 to 32 of a-z, 0-9 and -, and is not %s" $name $known.gatewayTaken) }}
{{- end -}}
{{- end -}}
{{- range $name, $value := .root.Values.alertLabels -}}
{{- if has $name $known.labelsTaken -}}
{{ fail (printf "alertLabels.%s: alerts have a label of this name already" $name) }}
{{- end -}}
{{- if or (hasPrefix "__" $name) (not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" $name)) -}}
{{ fail (printf "alertLabels.%s: a label's name has letters, digits and _, and begins with no digit" $name) }}
{{- end -}}
{{- if or (not (kindIs "string" $value)) (not $value) -}}
{{ fail (printf "alertLabels.%s: expected a text; put it in quotes" $name) }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "device-exporter.checkOperator" -}}
{{- if .Values.alertmanagerConfig.enabled -}}
{{- $receivers := (.Files.Get "files/alertmanager/routing.yaml" | fromYaml).receivers -}}
{{- range $name, $ways := .Values.alertmanagerConfig.receivers -}}
{{- if not (has $name $receivers) -}}
{{ fail (printf "alertmanagerConfig.receivers.%s: the routes know no such receiver; there are %s" $name (join ", " $receivers)) }}
{{- end -}}
{{- range $kind, $_ := $ways -}}
{{- if not (regexMatch "^[a-z][A-Za-z0-9]*Configs$" $kind) -}}
{{ fail (printf "alertmanagerConfig.receivers.%s.%s: an AlertmanagerConfig would not know it; expected such as slackConfigs, emailConfigs, telegramConfigs, webhookConfigs" $name $kind) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.prometheusRule.enabled (ne .Values.serviceMonitor.job "device-exporter") -}}
{{ fail "serviceMonitor.job: the rules of the chart are for the job device-exporter; for another one turn prometheusRule, dashboards and alertmanagerConfig off and take `device-exporter assets --job`" }}
{{- end -}}
{{- end }}
