{{/*
What every pod has. Each of these takes a dict: root, component, and `role`, which is "" for the role that serves, or the name
below `secrets` of another one whose address of the database replaces that of the Secret that serves.
*/}}
{{- define "authapp.podSettings" -}}
# Nothing here asks the API of Kubernetes, and a stolen token of it would be a way into the cluster.
automountServiceAccountToken: false
# Kubernetes would set variables named after each service of the namespace.
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
# No runAsUser: the image names one, and runs as any that OpenShift gives.
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "authapp.containerSettings" -}}
image: {{ printf "%s@%s" .root.Values.image.repository .root.Values.image.digest | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env: {{- include "authapp.env" . | nindent 2 }}
volumeMounts: {{- include "authapp.volumeMounts" . | nindent 2 }}
{{- end }}

{{- define "authapp.env" -}}
{{- $v := .root.Values -}}
- {name: WEB_CONCURRENCY, value: {{ $v.workers | quote }}}
{{- range $name, $value := $v.settings }}
{{- if not (kindIs "invalid" $value) }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end }}
{{- if $v.metrics.enabled }}
- {name: AUTHAPP_METRICS, value: "on"}
- {name: AUTHAPP_METRICS_BIND, value: {{ printf "%s:%d" $v.bindAddress (int $v.metrics.port) | quote }}}
{{- end }}
{{- if include "authapp.hasMail" .root }}
- {name: AUTHAPP_MAIL_SENDER, value: {{ ternary "off" "workers" (eq $v.mail.sender "deployment") | quote }}}
{{- end }}
{{- range $name, $key := $v.secrets.serving.keys }}
{{- if $key }}
- name: {{ $name }}_FILE
  value: {{ if and $.role (eq $name "AUTHAPP_DATABASE_URL") }}/run/secrets/authapp-{{ $.role }}/{{ (get $v.secrets $.role).key }}{{ else }}/run/secrets/authapp/{{ $key }}{{ end }}
{{- end }}
{{- end }}
{{- with $v.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "authapp.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: secrets, mountPath: /run/secrets/authapp, readOnly: true}
{{- if .role }}
- {name: {{ .role }}, mountPath: /run/secrets/authapp-{{ .role }}, readOnly: true}
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "authapp.volumes" -}}
{{- $v := .root.Values -}}
# The workers' heartbeats and the counts of the metrics: in memory, for they are written all the time. A worker counts in
# 3 MiB, and during a reload the next one does so as well.
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: {{ add 48 (mul 8 (int $v.workers)) }}Mi}
- name: secrets
  secret:
    secretName: {{ $v.secrets.serving.name }}
    # For any uid: nobody else is in the container.
    defaultMode: 0444
    items:
      {{- range $name, $key := $v.secrets.serving.keys }}
      {{- if and $key (not (and $.role (eq $name "AUTHAPP_DATABASE_URL"))) }}
      - {key: {{ $key }}, path: {{ $key }}}
      {{- end }}
      {{- end }}
      {{- range $v.secrets.serving.files }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- if .role }}
{{- $other := get $v.secrets .role }}
- name: {{ .role }}
  secret:
    secretName: {{ $other.name }}
    defaultMode: 0444
    items: [{key: {{ $other.key }}, path: {{ $other.key }}}]
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A pod that runs one command and ends. Takes `command` as well. */}}
{{- define "authapp.jobSpec" -}}
restartPolicy: Never
{{ include "authapp.podSettings" . }}
containers:
  - name: {{ .component }}
    command: {{ toJson .command }}
    {{- include "authapp.containerSettings" . | nindent 4 }}
    resources: {{- toYaml .root.Values.jobs.resources | nindent 6 }}
volumes: {{- include "authapp.volumes" . | nindent 2 }}
{{- end }}
