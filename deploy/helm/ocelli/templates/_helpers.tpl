{{- define "ocelli.name" -}}
{{- if contains "ocelli" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-ocelli" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "ocelli.selector" -}}
app.kubernetes.io/name: ocelli
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ocelli.labels" -}}
{{ include "ocelli.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "ocelli.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The path of publicUrl, without a slash at its end. */ -}}
{{- define "ocelli.prefix" -}}
{{- (urlParse .Values.publicUrl).path | trimSuffix "/" -}}
{{- end }}

{{- define "ocelli.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- /* What each container has: image, environment, rights, folders. */ -}}
{{- define "ocelli.container" -}}
image: {{ include "ocelli.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - secretRef: { name: {{ required "existingSecret names the secret" .Values.existingSecret | quote }} }
env:
  - { name: OCELLI_PUBLIC_URL, value: {{ .Values.publicUrl | quote }} }
  - { name: OCELLI_STORAGE_URL, value: {{ .Values.storageUrl | quote }} }
  - { name: OCELLI_TRUSTED_PROXIES, value: {{ .Values.trustedProxies | quote }} }
  - { name: OCELLI_LOG_FORMAT, value: json }
  {{- range $name, $value := .Values.settings }}
  - { name: {{ $name | quote }}, value: {{ $value | toString | quote }} }
  {{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
volumeMounts:
  - { name: data, mountPath: /data }
  - { name: tmp, mountPath: /tmp }
{{- end }}

{{- define "ocelli.pod" -}}
serviceAccountName: {{ include "ocelli.name" . }}
automountServiceAccountToken: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext: {{ include "ocelli.podSecurity" . | nindent 2 }}
volumes:
  - { name: data, emptyDir: { sizeLimit: {{ .Values.dataSize }} } }
  - { name: tmp, emptyDir: { sizeLimit: 1Gi } }
{{- end }}
