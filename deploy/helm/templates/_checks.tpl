{{/*
Fails with everything that is missing or does not go together, at once. Included where each release passes: in the
Deployment.
*/}}
{{- define "authapp.check" -}}
{{- $v := .Values -}}
{{- $p := list -}}
{{- if not $v.image.repository }}{{ $p = append $p "image.repository is missing: set it to where you pushed the image of deploy/docker/Dockerfile." }}{{ end -}}
{{- if not $v.image.digest }}{{ $p = append $p "image.digest is missing: set it to the sha256:... that `docker push` printed." }}{{ end -}}
{{- if not $v.secrets.serving.name }}{{ $p = append $p "secrets.serving.name is missing: make the Secret as deploy/helm/README.md says, and name it here." }}{{ end -}}
{{- range $name := list "AUTHAPP_DATABASE_URL" "AUTHAPP_JWT_KEYS" }}
{{- if not (get $v.secrets.serving.keys $name) }}{{ $p = append $p (printf "secrets.serving.keys.%s is missing: name the key of the Secret that holds it." $name) }}{{ end -}}
{{- end -}}
{{- range $file := $v.secrets.serving.files }}
{{- if has $file (values $v.secrets.serving.keys) }}{{ $p = append $p (printf "secrets.serving.files has %s, which is among secrets.serving.keys: name it once." $file) }}{{ end -}}
{{- end -}}
{{- if and $v.migrations.enabled (not $v.secrets.owner.name) }}{{ $p = append $p "secrets.owner.name is missing: name the Secret with the address of the database for the role that owns the tables, or set migrations.enabled=false and migrate yourself." }}{{ end -}}
{{- if and $v.auditPrune.enabled (not $v.secrets.audit.name) }}{{ $p = append $p "secrets.audit.name is missing: name the Secret with the address of the database for the role that deletes old audit events, or set auditPrune.enabled=false and delete them yourself." }}{{ end -}}
{{- range $name := list "AUTHAPP_ISSUER" "AUTHAPP_AUDIENCE" }}
{{- if not (get $v.settings $name) }}{{ $p = append $p (printf "settings.%s is missing: docs/configuration.md describes it." $name) }}{{ end -}}
{{- end -}}
{{- if $v.ingress.enabled -}}
{{- if not $v.ingress.host }}{{ $p = append $p "ingress.host is missing: set it to the host of settings.AUTHAPP_ISSUER." }}{{ end -}}
{{- if eq (int (get $v.settings "AUTHAPP_TRUSTED_PROXIES")) 0 }}{{ $p = append $p "settings.AUTHAPP_TRUSTED_PROXIES is missing or 0, with an ingress: all clients would share one count of the limits. Set it to the number of proxies that set X-Forwarded-For." }}{{ end -}}
{{- end -}}
{{- if and $v.metrics.enabled (eq (int $v.metrics.port) 8000) }}{{ $p = append $p "metrics.port is 8000, which is the port of the API: set another one." }}{{ end -}}
{{- if and $v.networkPolicy.enabled (not $v.networkPolicy.http.from) }}{{ $p = append $p "networkPolicy.http.from is missing: name the proxy that may reach the API, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}]." }}{{ end -}}
{{- range $name, $who := dict "metrics.from" $v.networkPolicy.metrics.from "dns.to" $v.networkPolicy.dns.to }}
{{- if and $v.networkPolicy.enabled (not $who) }}{{ $p = append $p (printf "networkPolicy.%s is missing: without it, the rule would be for everybody." $name) }}{{ end -}}
{{- end -}}
{{- if and (include "authapp.hasMail" .) (not (get $v.settings "AUTHAPP_MAIL_FROM")) }}{{ $p = append $p "settings.AUTHAPP_MAIL_FROM is missing: the sender of the mails that secrets.serving.keys.AUTHAPP_MAIL_URL is for." }}{{ end -}}
{{- if lt (int $v.terminationGracePeriodSeconds) (add (int $v.preStopSeconds) 35 | int) }}{{ $p = append $p (printf "terminationGracePeriodSeconds must be at least preStopSeconds and 35: gunicorn waits 30 s for requests in flight. It is %d." (int $v.terminationGracePeriodSeconds)) }}{{ end -}}
{{- $pods := int (ternary $v.autoscaling.maxReplicas $v.replicas $v.autoscaling.enabled) -}}
{{- if and $v.autoscaling.enabled (lt $pods (int $v.autoscaling.minReplicas)) }}{{ $p = append $p "autoscaling.maxReplicas is below autoscaling.minReplicas." }}{{ end -}}
{{- $needed := include "authapp.connections" . | int -}}
{{- if gt $needed (int $v.databaseConnectionLimit) }}{{ $p = append $p (printf "databaseConnectionLimit is %d, but %d pods, and two more while they are replaced, may open %d connections: lower autoscaling.maxReplicas or replicas, workers or settings.AUTHAPP_DATABASE_POOL_SIZE, or raise the limit of the role, or of PgBouncer, and this number." (int $v.databaseConnectionLimit) $pods $needed) }}{{ end -}}
{{- if $p }}{{ fail (printf "\n\nauthapp: %d problem(s) in the values:\n  - %s\n" (len $p) (join "\n  - " $p)) }}{{ end -}}
{{- end }}

{{/*
The most connections at once: while pods are replaced, one is new and one is going; and the mail sender and a prune job are a
process each.
*/}}
{{- define "authapp.connections" -}}
{{- $pods := int (ternary .Values.autoscaling.maxReplicas .Values.replicas .Values.autoscaling.enabled) -}}
{{- $pools := mul 2 (get .Values.settings "AUTHAPP_DATABASE_POOL_SIZE" | default 8 | int) -}}
{{- add (mul (add $pods 2) (int .Values.workers) $pools) (mul 2 $pools) -}}
{{- end }}

{{/* For how many seconds a mail may be on its way: AUTHAPP_MAIL_TIMEOUT is for the connection, and for the mail. */}}
{{- define "authapp.mailSeconds" -}}
{{- get .Values.settings "AUTHAPP_MAIL_TIMEOUT" | default 20 | float64 | mulf 2 | ceil | int -}}
{{- end }}

{{/* Not empty if mail can be sent. */}}
{{- define "authapp.hasMail" -}}
{{- if get .Values.secrets.serving.keys "AUTHAPP_MAIL_URL" }}yes{{ end -}}
{{- end }}
