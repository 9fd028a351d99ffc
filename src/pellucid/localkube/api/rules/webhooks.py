"""Rules of webhook configurations. Source: pkg/apis/admissionregistration/validation, Kubernetes 1.30."""

from __future__ import annotations

from urllib.parse import urlsplit

from pellucid.localkube.api.rules import names
from pellucid.localkube.api.rules.causes import (
    Causes,
    Object,
    bad,
    duplicate,
    one_of,
    required,
    unsupported,
)
from pellucid.localkube.api.rules.workloads import label_selector
from pellucid.localkube.types.expressions import ExpressionError, expression

CONDITION_VARIABLES = frozenset({"object", "oldObject", "request"})
"""What a match condition may speak of."""
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
VERSIONS = ("v1", "v1beta1")
_LONGEST_TIMEOUT = 30


def configuration(value: Object) -> Causes:
    """A MutatingWebhookConfiguration or ValidatingWebhookConfiguration."""
    seen: set[str] = set()
    for place, webhook in enumerate(value.get("webhooks") or ()):
        field = f"webhooks[{place}]"
        yield from _webhook(webhook, field)
        if webhook.get("name") in seen:
            yield duplicate(f"{field}.name", webhook["name"])
        seen.add(webhook.get("name", ""))


def _webhook(webhook: Object, field: str) -> Causes:
    name = webhook.get("name", "")
    if not name:
        yield required(f"{field}.name")
    else:
        yield from names.subdomain_name(f"{field}.name", name)
        if len(name.split(".")) < 3:
            why = "should be a domain with at least three segments separated by dots"
            yield bad(f"{field}.name", name, why)
    versions = webhook.get("admissionReviewVersions") or []
    if not versions:
        yield required(f"{field}.admissionReviewVersions", "must specify one of v1, v1beta1")
    elif not set(versions) & set(VERSIONS):
        why = "must include at least one of v1, v1beta1"
        yield bad(f"{field}.admissionReviewVersions", list(versions), why)
    yield from one_of(f"{field}.failurePolicy", webhook.get("failurePolicy"), ("Fail", "Ignore"))
    yield from one_of(f"{field}.matchPolicy", webhook.get("matchPolicy"), ("Equivalent", "Exact"))
    effects = webhook.get("sideEffects")
    if effects is None:
        yield required(f"{field}.sideEffects", "must specify one of None, NoneOnDryRun")
    else:
        yield from one_of(f"{field}.sideEffects", effects, ("None", "NoneOnDryRun"))
    seconds = webhook.get("timeoutSeconds", 10)
    if not 1 <= seconds <= _LONGEST_TIMEOUT:
        why = f"the timeout value must be between 1 and {_LONGEST_TIMEOUT} seconds"
        yield bad(f"{field}.timeoutSeconds", seconds, why)
    for name in ("namespaceSelector", "objectSelector"):
        if webhook.get(name):
            yield from label_selector(webhook[name], f"{field}.{name}")
    yield from _client(webhook.get("clientConfig") or {}, f"{field}.clientConfig")
    for place, rule in enumerate(webhook.get("rules") or ()):
        yield from _rule(rule, f"{field}.rules[{place}]")
    for place, condition in enumerate(webhook.get("matchConditions") or ()):
        yield from _condition(condition, f"{field}.matchConditions[{place}]")


def _client(config: Object, field: str) -> Causes:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield required(field, "exactly one of url or service is required")
    elif service is not None:
        for name in ("name", "namespace"):
            if not service.get(name):
                yield required(f"{field}.service.{name}")
        yield from names.port_number(f"{field}.service.port", service.get("port", 443))
    else:
        yield from _url(str(url), f"{field}.url")


def _url(url: str, field: str) -> Causes:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield required(field, f"url must be a valid URL: {error}; desired format: https://host[/path]")
        return
    form = "desired format: https://host[/path]"
    if parts.scheme != "https":
        yield bad(field, parts.scheme, f"'https' is the only allowed URL scheme; {form}")
    if not parts.netloc:
        yield bad(field, parts.netloc, f"host must be specified; {form}")
    if parts.query:
        yield bad(field, parts.query, f"query parameters are not permitted in the URL; {form}")


def _rule(rule: Object, field: str) -> Causes:
    for name in ("operations", "apiGroups", "apiVersions", "resources"):
        values = rule.get(name) or []
        if not values:
            yield required(f"{field}.{name}")
        elif "*" in values and len(values) > 1 and name != "resources":
            why = f"if '*' is present, must not specify other {_PLAIN[name]}"
            yield bad(f"{field}.{name}", list(values), why)
    for place, operation in enumerate(rule.get("operations") or ()):
        if operation not in OPERATIONS:
            yield unsupported(f"{field}.operations[{place}]", operation, OPERATIONS)
    yield from one_of(f"{field}.scope", rule.get("scope"), ("*", "Cluster", "Namespaced"))


_PLAIN = {"operations": "operations", "apiGroups": "API groups", "apiVersions": "API versions"}


def _condition(condition: Object, field: str) -> Causes:
    if not condition.get("name"):
        yield required(f"{field}.name")
    else:
        yield from names.qualified_name(f"{field}.name", condition["name"])
    text = condition.get("expression", "")
    if not text.strip():
        yield required(f"{field}.expression")
        return
    try:
        expression(text, CONDITION_VARIABLES)
    except ExpressionError as error:
        yield bad(f"{field}.expression", text, f"compilation failed: {error}")
