"""What a body says twice, in another format, or not at all."""

from __future__ import annotations

import pytest

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.http.bodies import body_object, json_of, repeated_fields, yaml_of
from pellucid.localkube.http.connection import Request
from tests.localkube.http.served import Served, serve

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p, creationTimestamp: 2024-01-02T03:04:05Z}
spec:
  containers: [{name: c, image: "b"}]
"""


def request(body: str, kind: str) -> Request:
    return Request("POST", "/", {}, {"content-type": kind}, body.encode())


def test_fields_said_twice_are_told_with_their_paths() -> None:
    body = b'{"spec":{"a":1,"b":[{"c":1,"c":2,"c":3}],"a":2}}'
    assert repeated_fields(body) == ("spec.a", "spec.b[0].c")
    assert repeated_fields(b'{"spec":{"a":1}}') == ()


def test_yaml_is_read_as_the_json_it_stands_for() -> None:
    read = body_object(request(POD, "application/yaml"))
    assert read["metadata"]["creationTimestamp"] == "2024-01-02T03:04:05Z"
    assert read["spec"]["containers"] == [{"name": "c", "image": "b"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 'error decoding YAML: yaml: line 3: key "a" already set in map'),
        ("a: [1\n", "error decoding YAML: yaml: line 2"),
        ("1: a\n", "every key must be a string"),
        ("[" * 5_000, "exceeded max depth"),
        (
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(
                f"{y}: &{y} [{', '.join([f'*{x}'] * 10)}]\n" for x, y in zip("abcdef", "bcdefg", strict=True)
            ),
            "excessive aliasing",
        ),
    ],
    ids=["key twice", "malformed", "number as key", "deep", "aliases of aliases"],
)
def test_yaml_that_is_no_object_is_refused(text: str, said: str) -> None:
    with pytest.raises(ApiError) as refusal:
        yaml_of(text.encode())
    assert refusal.value.code == 400
    assert said in refusal.value.message


def test_json_nested_too_deep_is_refused() -> None:
    with pytest.raises(ApiError, match="exceeded max depth"):
        json_of(b"[" * 100_000)


async def test_a_field_said_twice_is_refused_or_warned_of(tmp_path: object) -> None:
    served: Served = await serve(tmp_path)  # type: ignore[arg-type]
    body = '{"metadata":{"name":"c"},"data":{"a":"1","a":"2"}}'
    path = "/api/v1/namespaces/default/configmaps"
    code, _, errors = await served.try_kubectl(
        "create", "--raw", f"{path}?fieldValidation=Strict", "-f", "-", stdin=body
    )
    assert code == 1
    assert 'strict decoding error: duplicate field "data.a"' in errors
    code, output, errors = await served.try_kubectl("create", "--raw", path, "-f", "-", stdin=body)
    assert code == 0, errors
    assert '"a":"2"' in output
    await served.close()
