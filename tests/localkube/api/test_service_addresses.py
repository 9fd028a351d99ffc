from typing import Any

import pytest

from pellucid.localkube.api.service_addresses import allocated

Object = dict[str, Any]


def placed(spec: Object, *others: Object, before: Object | None = None) -> Object:
    service, problems = allocated({"spec": spec}, others, before)
    assert not problems
    found: Object = service["spec"]
    return found


def test_a_service_has_one_ipv4_address_unless_it_asks_for_more() -> None:
    found = placed({"type": "ClusterIP"})
    assert found["clusterIPs"] == [found["clusterIP"]] == ["10.96.1.0"]
    assert (found["ipFamilies"], found["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


def test_no_two_services_have_the_same_address() -> None:
    first = {"spec": placed({"ipFamilyPolicy": "PreferDualStack"})}
    second = placed({"ipFamilyPolicy": "PreferDualStack"}, first)
    assert not set(first["spec"]["clusterIPs"]) & set(second["clusterIPs"])


@pytest.mark.parametrize("policy", ["PreferDualStack", "RequireDualStack"])
def test_a_dual_stack_service_has_an_address_of_each_family_in_the_order_asked(policy: str) -> None:
    found = placed({"ipFamilyPolicy": policy, "ipFamilies": ["IPv6"]})
    assert found["ipFamilies"] == ["IPv6", "IPv4"]
    assert found["clusterIPs"] == ["fd00:10:96::100", "10.96.1.0"]
    assert found["clusterIP"] == "fd00:10:96::100"


def test_a_headless_service_has_families_and_no_address() -> None:
    found = placed({"clusterIP": "None", "ipFamilyPolicy": "PreferDualStack"})
    assert (found["clusterIPs"], found["ipFamilies"]) == (["None"], ["IPv4", "IPv6"])


def test_a_service_may_become_dual_stack_and_single_again_and_keeps_its_first_address() -> None:
    single: Object = {"spec": placed({"clusterIP": "10.96.7.7"})}
    dual: Object = {"spec": placed({**single["spec"], "ipFamilyPolicy": "PreferDualStack"}, before=single)}
    assert dual["spec"]["clusterIPs"] == ["10.96.7.7", "fd00:10:96::100"]
    again = placed({**dual["spec"], "ipFamilyPolicy": "SingleStack"}, before=dual)
    assert (again["clusterIPs"], again["ipFamilies"]) == (["10.96.7.7"], ["IPv4"])


def test_two_families_need_a_policy_that_allows_them() -> None:
    _, [problem] = allocated({"spec": {"ipFamilies": ["IPv4", "IPv6"]}}, (), None)
    assert problem.field == "spec.ipFamilyPolicy"


def test_an_address_of_the_wrong_family_is_refused() -> None:
    _, [problem] = allocated({"spec": {"clusterIP": "10.96.1.1", "ipFamilies": ["IPv6"]}}, (), None)
    assert "The range of valid IPs is fd00:10:96::/112" in problem.message
