import os
import pwd

import pytest

from pellucid.dataplane.namespace.protocol import Credentials
from pellucid.dataplane.redirect_settings import InvalidSettingError
from pellucid.dataplane.run.user import workload_user


def test_a_user_is_found_by_name_and_by_number_with_its_home() -> None:
    account = pwd.getpwuid(0)
    by_name, by_number = workload_user(account.pw_name, {}), workload_user("0", {})
    assert by_name == by_number
    assert by_name.credentials.uid == 0
    assert by_name.variables["HOME"] == account.pw_dir


def test_numbers_without_an_account_are_taken_as_they_are() -> None:
    assert workload_user("54321", {}).credentials == Credentials(54321, 54321)
    assert workload_user("54321:54322", {}).credentials == Credentials(54321, 54322)


@pytest.mark.parametrize("asked", ["no-such-user", "54321:many", "-5"])
def test_an_unknown_user_is_refused(asked: str) -> None:
    with pytest.raises(InvalidSettingError, match="user"):
        workload_user(asked, {})


@pytest.mark.root
def test_through_sudo_it_is_the_caller() -> None:
    assert workload_user("", {"SUDO_UID": "54321"}).credentials.uid == 54321
    assert workload_user("", {}).credentials.uid == os.getuid()
