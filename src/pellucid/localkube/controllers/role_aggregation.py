"""ClusterRoles that are the union of others, chosen by labels.

Source: Kubernetes docs, "Using RBAC Authorization - Aggregated ClusterRoles".
"""

from __future__ import annotations

from datetime import datetime

from pellucid.localkube.controllers.controller import Controller, all_of
from pellucid.localkube.controllers.plan import NOTHING, Key, Patch, Plan
from pellucid.localkube.controllers.reading import Object, is_deleting, labels_of, name_of, selects
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import CLUSTER_ROLES


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Give the role the rules of those it is made of."""
    role = view.get(CLUSTER_ROLES, "", key.name)
    if role is None or is_deleting(role) or not role.get("aggregationRule"):
        return NOTHING
    selectors = role["aggregationRule"].get("clusterRoleSelectors") or ()
    rules: list[Object] = []
    for part in sorted(view.list(CLUSTER_ROLES), key=name_of):
        if name_of(part) != key.name and any(selects(one, labels_of(part)) for one in selectors):
            rules += [rule for rule in part.get("rules") or () if rule not in rules]
    if rules == (role.get("rules") or []):
        return NOTHING
    return Plan((Patch(CLUSTER_ROLES, "", key.name, {"rules": rules}),))


ROLE_AGGREGATION_CONTROLLER = Controller(
    "clusterrole-aggregation", {CLUSTER_ROLES: all_of(CLUSTER_ROLES)}, reconcile
)
