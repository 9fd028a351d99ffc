{{/*
What values may be given. "known" are the chart's own defaults (files/known-values.yaml, the same as values.yaml):
a key that is not among them is refused, with the nearest one that is.
*/}}

{{- define "pellucid.checkValues" -}}
{{- $known := .Files.Get "files/known-values.yaml" | fromYaml -}}
{{- include "pellucid.checkKeys" (dict "given" (omit .Values "helm") "known" $known "path" "") -}}
{{- include "pellucid.checkRules" . -}}
{{- end -}}

{{- define "pellucid.checkKeys" -}}
{{- $path := .path -}}
{{- $known := .known -}}
{{- range $key, $value := .given -}}
{{- $full := ternary $key (printf "%s.%s" $path $key) (eq $path "") -}}
{{- if not (hasKey $known $key) -}}
{{- $nearest := include "pellucid.nearest" (dict "key" $key "known" (keys $known | sortAlpha)) -}}
{{- fail (printf "unknown value %q: did you mean %q? %s takes: %s" $full (ternary $nearest (printf "%s.%s" $path $nearest) (eq $path "")) (default "the chart" $path) (keys $known | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $default := index $known $key -}}
{{- if and (kindIs "map" $default) $default (kindIs "map" $value) -}}
{{- include "pellucid.checkKeys" (dict "given" $value "known" $default "path" $full) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The known key that shares the most pairs of letters with "key". */}}
{{- define "pellucid.nearest" -}}
{{- $key := lower .key -}}
{{- $best := dict "score" -1000 "name" "" -}}
{{- range $name := .known -}}
{{- $score := dict "value" (mul -1 (max (sub (len $name) (len $key)) (sub (len $key) (len $name)))) -}}
{{- range $index := until (max 0 (sub (len $key) 1) | int) -}}
{{- if contains (substr $index (add $index 2 | int) $key) (lower $name) -}}
{{- $_ := set $score "value" (add $score.value 3) -}}
{{- end -}}
{{- end -}}
{{- if gt (int $score.value) (int $best.score) -}}
{{- $_ := set $best "score" $score.value -}}
{{- $_ := set $best "name" $name -}}
{{- end -}}
{{- end -}}
{{- $best.name -}}
{{- end -}}

{{/* What must not be ignored, and what does not go together. */}}
{{- define "pellucid.checkRules" -}}
{{- if .Values.global.acls.manageSystemACLs -}}
{{- fail "global.acls.manageSystemACLs: there are no ACLs yet, so nobody would enforce them; leave it out. Pods and components are known by their service accounts either way" -}}
{{- end -}}
{{- if .Values.global.enableConsulNamespaces -}}
{{- fail "global.enableConsulNamespaces: there are no Consul namespaces; leave it out" -}}
{{- end -}}
{{- if .Values.global.federation.enabled -}}
{{- fail "global.federation.enabled: datacenters are not joined yet; leave it out" -}}
{{- end -}}
{{- if or .Values.global.tls.caCert.secretName .Values.global.tls.caKey.secretName -}}
{{- fail "global.tls.caCert, caKey: the server makes an authority of its own, which clients of another would not trust; leave them out" -}}
{{- end -}}
{{- if .Values.externalServers.enabled -}}
{{- fail "externalServers.enabled: the servers run in the cluster; leave it out" -}}
{{- end -}}
{{- if and .Values.server.bootstrapExpect (lt (int .Values.server.bootstrapExpect) (int .Values.server.replicas)) -}}
{{- fail "server.bootstrapExpect cannot be less than server.replicas" -}}
{{- end -}}
{{- if .Values.connectInject.enabled -}}
{{- if not (include "pellucid.wanted" (dict "enabled" .Values.client.enabled "root" .)) -}}
{{- fail "clients must be enabled for connect injection" -}}
{{- end -}}
{{- if not .Values.client.grpc -}}
{{- fail "client.grpc must be true for connect injection" -}}
{{- end -}}
{{- if not (include "pellucid.wanted" (dict "enabled" .Values.server.enabled "root" .)) -}}
{{- fail "server.enabled must be true for connect injection: there is nothing else to inject for" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" where a given value says something else than its default. Helm leaves out what is null. */}}
{{- define "pellucid.differs" -}}
{{- if and (kindIs "map" .given) (kindIs "map" .default) -}}
{{- $default := .default -}}
{{- $found := dict -}}
{{- range $key, $value := .given -}}
{{- if include "pellucid.differs" (dict "given" $value "default" (get $default $key)) -}}
{{- $_ := set $found "any" true -}}
{{- end -}}
{{- end -}}
{{- if $found.any -}}true{{- end -}}
{{- else if or .given .default -}}
{{- if ne (toJson .given) (toJson .default) -}}true{{- end -}}
{{- end -}}
{{- end -}}
