"""Who an image's program runs as."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.localkube.images.image import Image
from pellucid.localkube.images.users import ImageUser, UnknownUser, image_user

PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:101:201::/:/bin/sh\nbroken\nodd:x:one:1::/:\n"
GROUP = "root:x:0:\nlog:x:300:other,app\nweb:x:201:app\nempty:x:9\n"


@pytest.fixture
def image(tmp_path: Path) -> Image:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for layer in (lower, upper):
        layer.mkdir()
    (lower / "passwd").write_text("app:x:999:999::/:\n")
    (upper / "passwd").write_text(PASSWD)
    (lower / "group").write_text(GROUP)
    return Image("i", str(tmp_path), {"etc": (str(lower), str(upper))})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ImageUser(0, 0)),
        ("app", ImageUser(101, 201, (300,))),
        ("101", ImageUser(101, 201, (300,))),
        ("app:log", ImageUser(101, 300)),
        ("app:0", ImageUser(101, 0)),
        ("5995", ImageUser(5995, 0)),
        ("5995:77", ImageUser(5995, 77)),
    ],
)
def test_names_and_numbers_are_looked_up_in_the_uppermost_files(
    image: Image, text: str, expected: ImageUser
) -> None:
    assert image_user(image, text) == expected


@pytest.mark.parametrize(
    ("text", "said"), [("nobody", "find user nobody"), ("app:nogroup", "find group nogroup")]
)
def test_a_name_that_the_image_does_not_have_is_refused(image: Image, text: str, said: str) -> None:
    with pytest.raises(UnknownUser, match=said):
        image_user(image, text)


def test_a_link_in_an_image_does_not_lead_to_this_machines_users(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(UnknownUser):
        image_user(Image("i", str(tmp_path)), "daemon")
