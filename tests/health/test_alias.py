"""What an alias check says of the checks behind it (Consul 1.10 docs, "Checks", "Alias")."""

import pytest

from pellucid.health.alias import alias_result
from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckStatus, HealthCheck
from tests.health.definitions import check

PASSING, WARNING, CRITICAL = CheckStatus
ALIAS = check("web-alias", service_id="web-proxy", alias_service="web", interval_ns=0)


def health(status: CheckStatus, name: str = "c", service_id: str = "web", node: str = "n1") -> HealthCheck:
    return HealthCheck(node, name, name=name, status=status, output=f"{name} said", service_id=service_id)


def result(*checks: HealthCheck, exists: bool = True) -> CheckResult:
    return alias_result(ALIAS, checks, service_exists=exists)


def test_a_service_without_checks_is_passing() -> None:
    assert result() == CheckResult(PASSING, "No checks found.")


def test_a_missing_service_is_critical() -> None:
    expected = CheckResult(CRITICAL, "Service web could not be found on node n1")
    assert result(exists=False) == expected


def test_all_passing_is_passing() -> None:
    assert result(health(PASSING)) == CheckResult(PASSING, "All checks passing.")


def test_the_worst_check_speaks() -> None:
    checks = (health(PASSING, "a"), health(WARNING, "b"), health(CRITICAL, 'c "1"'))
    assert result(*checks) == CheckResult(CRITICAL, 'Aliased check "c \\"1\\"" failing: c "1" said')
    assert result(*checks[:2]) == CheckResult(WARNING, 'Aliased check "b" failing: b said')


def test_checks_of_the_node_count() -> None:
    assert result(health(PASSING), health(CRITICAL, "disk", service_id="")).status is CRITICAL


@pytest.mark.parametrize("stranger", [health(CRITICAL, service_id="api"), health(CRITICAL, node="n2")])
def test_other_services_and_nodes_do_not(stranger: HealthCheck) -> None:
    assert result(health(PASSING), stranger).status is PASSING


def test_an_alias_of_a_node_follows_the_node_alone() -> None:
    alias = check("n2-alias", alias_node="N2", interval_ns=0)
    checks = [
        health(CRITICAL, service_id="web", node="n2"),
        health(WARNING, "disk", service_id="", node="n2"),
    ]
    assert alias_result(alias, checks, service_exists=True).status is WARNING
