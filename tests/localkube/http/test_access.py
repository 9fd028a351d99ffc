"""Who may do what, as kubectl sees it."""

# ruff: noqa: E501 - commands and messages are easier to read in one piece

from __future__ import annotations

import pytest

from tests.localkube.http.served import Served


@pytest.fixture
async def served(served: Served) -> Served:
    await served.kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    await served.kubectl("create", "rolebinding", "reads", "--role=reader", "--user=bob")
    return served


async def refusal(served: Served, *arguments: str, stdin: str = "") -> str:
    code, _, errors = await served.try_kubectl(*arguments, stdin=stdin)
    assert code == 1
    return errors.strip()


async def test_a_user_may_what_is_bound_and_no_more(served: Served) -> None:
    assert await served.kubectl("get", "pods", "--as=bob") == ""
    assert await refusal(served, "get", "secrets", "--as=bob") == (
        'Error from server (Forbidden): secrets is forbidden: User "bob" cannot list resource "secrets" in API '
        'group "" in the namespace "default"'
    )
    assert await served.kubectl("auth", "can-i", "list", "pods", "--as=bob") == "yes\n"
    code, output, _ = await served.try_kubectl("auth", "can-i", "delete", "pods", "--as=bob")
    assert (code, output) == (1, "no\n")


async def test_can_i_list_shows_what_is_bound(served: Served) -> None:
    await served.kubectl("create", "clusterrole", "metrics", "--verb=get", "--non-resource-url=/metrics")
    await served.kubectl("create", "clusterrolebinding", "metrics", "--clusterrole=metrics", "--user=bob")
    lines = [
        line.split() for line in (await served.kubectl("auth", "can-i", "--list", "--as=bob")).splitlines()
    ]
    assert ["pods", "[]", "[]", "[get", "list]"] in lines
    assert ["[/metrics]", "[]", "[get]"] in lines
    assert await served.kubectl("auth", "can-i", "get", "/metrics", "--as=bob") == "yes\n"


async def test_whoami_tells_of_groups_too(served: Served) -> None:
    told = await served.kubectl("auth", "whoami", "--as=bob", "--as-group=team", "-o", "yaml")
    assert "username: bob" in told
    assert "- team" in told
    assert "- system:authenticated" in told


async def test_acting_as_another_must_be_allowed(served: Served) -> None:
    await served.kubectl("create", "clusterrole", "act", "--verb=impersonate", "--resource=users")
    await served.kubectl(
        "create", "clusterrolebinding", "act", "--clusterrole=act", "--serviceaccount=default:default"
    )
    token = (await served.kubectl("create", "token", "default")).strip()
    config = served.kubeconfig.read_text()
    as_account = served.kubeconfig.with_name("account")
    start, end = config.index('"client-certificate-data"'), config.index('"}}],"contexts"')
    as_account.write_text(f'{config[:start]}"token":"{token}{config[end:]}')
    act = ("--kubeconfig", str(as_account), "get", "pods")
    assert await served.kubectl(*act, "--as=bob") == ""
    assert await refusal(served, *act, "--as=bob", "--as-group=system:masters") == (
        'Error from server (Forbidden): groups "system:masters" is forbidden: User '
        '"system:serviceaccount:default:default" cannot impersonate resource "groups" in API group "" at the '
        "cluster scope"
    )


async def test_nobody_grants_what_they_do_not_have(served: Served) -> None:
    await served.kubectl("create", "clusterrole", "keeper", "--verb=create", "--resource=roles,rolebindings")
    await served.kubectl("create", "rolebinding", "keeps", "--clusterrole=keeper", "--user=bob")
    await served.kubectl("create", "role", "same", "--verb=get", "--resource=pods", "--as=bob")
    await served.kubectl("create", "rolebinding", "same", "--role=same", "--user=eve", "--as=bob")
    told = await refusal(served, "create", "role", "more", "--verb=delete", "--resource=pods", "--as=bob")
    assert told == (
        'Error from server (Forbidden): roles.rbac.authorization.k8s.io "more" is forbidden: user "bob" '
        '(groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}'
    )
    told = await refusal(
        served, "create", "rolebinding", "all", "--clusterrole=cluster-admin", "--user=bob", "--as=bob"
    )
    assert 'is attempting to grant RBAC permissions not currently held:\n{APIGroups:["*"]' in told


async def test_who_may_escalate_or_bind_grants_more(served: Served) -> None:
    escalating = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: keeper}
rules:
- {apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [create, escalate]}
- {apiGroups: [rbac.authorization.k8s.io], resources: [rolebindings], verbs: [create]}
- {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [bind], resourceNames: [edit]}
"""
    await served.kubectl("create", "-f", "-", stdin=escalating)
    await served.kubectl("create", "clusterrolebinding", "keeps", "--clusterrole=keeper", "--user=bob")
    await served.kubectl("create", "role", "more", "--verb=delete", "--resource=pods", "--as=bob")
    await served.kubectl("create", "rolebinding", "edits", "--clusterrole=edit", "--user=bob", "--as=bob")
    told = await refusal(
        served, "create", "rolebinding", "all", "--clusterrole=cluster-admin", "--user=bob", "--as=bob"
    )
    assert "not currently held" in told


async def test_a_review_tells_by_what_it_is_allowed(served: Served) -> None:
    asked = """
apiVersion: authorization.k8s.io/v1
kind: SubjectAccessReview
spec: {user: bob, resourceAttributes: {verb: get, resource: pods, namespace: default}}
"""
    told = await served.kubectl("create", "-f", "-", "-o", "jsonpath={.status}", stdin=asked)
    assert told == (
        '{"allowed":true,"reason":"RBAC: allowed by RoleBinding \\"reads/default\\" of Role \\"reader\\" to User '
        '\\"bob\\""}'
    )
