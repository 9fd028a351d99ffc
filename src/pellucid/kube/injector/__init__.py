"""The injector: a mutating webhook that gives pods their sidecar.

`decision` says whether, `mutation` what the pod becomes; both are pure. `review` speaks the API server's
language, `web_server` answers it.
"""
