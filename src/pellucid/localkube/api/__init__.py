"""The meaning of the Kubernetes API: objects, their life, patches, selectors, watches, admission."""
