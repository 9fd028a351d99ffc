"""The Helm engine: Helm's own Go code, in the native library of `helm-python-sdk`.

The package's Python functions take only some of the library's options (hooks and CRDs cannot be left out),
so release actions are called by the library's C contract: a function's name, and its options as JSON. That
contract is stable ("additive only") and refuses an option it does not know.
Source: helm-c-sdk, docs/API.md and pkg/wrapper.

The library is 85 MB: nothing else of this program imports this module before a helm command needs it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.helm.release import Release, from_stored, from_summary

try:
    import helm_python
    from helm_python import _native
except ImportError as error:
    raise ImportError(
        f"the Helm engine is missing ({error}): pip install helm-python-sdk, which has it for x86_64 only"
    ) from None


class EngineError(Exception):
    """The engine refused or failed; the text is Helm's own."""


class ReleaseNotFound(EngineError):
    """There is no such release."""


@dataclass(frozen=True)
class ClusterAccess:
    """How to reach a cluster; empty strings leave it to the kubeconfig that the engine finds by itself."""

    namespace: str
    settings: Mapping[str, Any]
    """The engine's own names: kubeconfig_path, kube_context, kube_token, storage_driver, ..."""


class Engine:
    """Release actions in one namespace of one cluster. Every method raises EngineError."""

    def __init__(self, access: ClusterAccess) -> None:
        with _failures():
            self._config = helm_python.Config(namespace=access.namespace, **access.settings)

    def install(self, chart: Path, name: str, values: dict[str, Any], options: Mapping[str, Any]) -> Release:
        return self._change("helm_install", chart, name, values, options)

    def upgrade(self, chart: Path, name: str, values: dict[str, Any], options: Mapping[str, Any]) -> Release:
        return self._change("helm_upgrade", chart, name, values, options)

    def rollback(self, name: str, options: Mapping[str, Any]) -> None:
        with _failures():
            _interruptible(lambda: _native.call_status("helm_rollback", *self._words(name, options)))

    def uninstall(self, name: str, options: Mapping[str, Any]) -> str:
        """Returns what Helm has to say about it, e.g. which objects were kept."""
        return str(self._json("helm_uninstall", name, options)["info"])

    def test(self, name: str, options: Mapping[str, Any]) -> str:
        """Runs the test hooks; returns the logs of their pods if the options ask for them."""
        return str(self._json("helm_test_run", name, options).get("logs", ""))

    def stored(self, name: str, revision: int = 0) -> Release:
        """The whole release; revision 0 is the newest."""
        return from_stored(self._json("helm_get", name, {"revision": revision}))

    def computed_values(self, name: str, revision: int = 0) -> dict[str, Any]:
        """What the templates saw: the chart's values and the user's."""
        found = self._json("helm_get_values", name, {"revision": revision, "all": True})
        return dict(found)

    def history(self, name: str, most: int) -> tuple[Release, ...]:
        """The newest `most` revisions, oldest first, without their hooks and values."""
        return tuple(from_summary(one) for one in self._json("helm_history", name, {"max": most}))

    def releases(self, options: Mapping[str, Any]) -> tuple[Release, ...]:
        with _failures():
            found = _native.call_string("helm_list", self._config._raw(), json.dumps(dict(options)))
        return tuple(from_summary(one) for one in json.loads(found))

    def rendered(self, chart: Path, values: dict[str, Any], **release: Any) -> dict[str, str]:
        """Every template as text by its path; `lookup` asks the cluster."""
        with _failures(), helm_python.Chart.load(chart) as loaded:
            return self._config.render(loaded, values, **release)

    def _change(
        self, function: str, chart: Path, name: str, values: dict[str, Any], options: Mapping[str, Any]
    ) -> Release:
        """An install or upgrade; an interrupt ends it as Helm ends it, with the release marked as failed."""
        context = helm_python.HelmContext()
        words = (
            self._config._raw(),
            context._raw(),
            _native.HANDLE(0),
            str(chart),
            name,
            json.dumps(values),
            json.dumps(dict(options)),
        )
        with _failures(), context:
            summary = _interruptible(lambda: _native.call_string(function, *words), context.cancel)
        return from_summary(json.loads(summary))

    def _json(self, function: str, name: str, options: Mapping[str, Any]) -> Any:
        with _failures():
            return json.loads(
                _interruptible(lambda: _native.call_string(function, *self._words(name, options)))
            )

    def _words(self, name: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
        return self._config._raw(), name, json.dumps(dict(options))


@dataclass(frozen=True)
class Crd:
    """A file of a chart's `crds` directory."""

    path: str
    text: str


def rendered_offline(chart: Path, values: dict[str, Any], **release: Any) -> dict[str, str]:
    """Every template as text by its path; `lookup` finds nothing. Raises EngineError."""
    with _failures(), helm_python.Chart.load(chart) as loaded:
        return loaded.render(values, **release)


def chart_crds(chart: Path) -> tuple[Crd, ...]:
    """The chart's `crds` directories, subcharts' too. Raises EngineError."""
    with _failures(), helm_python.Chart.load(chart) as loaded:
        return tuple(Crd(one["filename"], one["data"]) for one in loaded.crds)


def lint(chart: Path, values: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Findings as the engine reports them: messages with severity, path and error. Raises EngineError."""
    with _failures():
        return helm_python.lint(chart, values, **options)


def shown(chart: Path, part: str) -> str:
    """Part of a chart as text: all, chart, values, readme or crds. Raises EngineError."""
    with _failures():
        return helm_python.show(str(chart), output_format=part)


def packaged(chart: Path, **options: Any) -> str:
    """Makes an archive of a chart and returns its path. Raises EngineError."""
    with _failures():
        return helm_python.package(chart, **options)


def created(name: str, directory: Path) -> None:
    """Writes a new chart. Raises EngineError."""
    with _failures():
        helm_python.Chart.create(name, directory).close()


def pulled(reference: str, repository: str, version: str, directory: Path) -> Path:
    """Downloads a chart from a repository, or by an oci:// reference, into an empty directory.

    Raises EngineError.
    """
    with _failures():
        helm_python.pull(
            reference, destination=directory, repo_url=repository or None, version=version or None
        )
    (archive,) = directory.iterdir()
    return archive


def repository_index(url: str) -> dict[str, Any]:
    """A repository's index. Raises EngineError."""
    with _failures():
        return helm_python.repo_index(url)


def yaml_values(text: str) -> dict[str, Any]:
    """A values file, by Helm's reading of YAML. Raises EngineError."""
    with _failures():
        return helm_python.values_from_yaml(text)


def set_values(kind: str, expression: str) -> dict[str, Any]:
    """The values of a `--set`, `--set-string`, `--set-json`, `--set-literal` or `--set-file`.

    kind: the flag's name. Raises EngineError.
    """
    parsers: dict[str, Callable[[str], dict[str, Any]]] = {
        "set": helm_python.parse_set_string,
        "set-string": helm_python.parse_set_string_values,
        "set-json": helm_python.parse_set_json,
        "set-literal": helm_python.parse_set_literal,
        "set-file": helm_python.parse_set_file,
    }
    with _failures(f"failed parsing --{kind} data: "):
        return parsers[kind](expression)


def version() -> str:
    """Helm's own version, e.g. v4.2.3."""
    return helm_python.helm_sdk_version()


def log_to_standard_error() -> None:
    """The engine's own log from here on, for `--debug`; call it before an Engine is made."""
    import logging

    logging.basicConfig(level=logging.DEBUG, format="%(message)s")
    helm_python.enable_logging(logging.DEBUG)


@contextmanager
def _failures(doing: str = "") -> Iterator[None]:
    try:
        yield
    except helm_python.HelmNotFoundError as error:
        raise ReleaseNotFound(f"{doing}{error.detail}") from None
    except helm_python.HelmError as error:
        raise EngineError(f"{doing}{error.detail}") from None


def _interruptible(work: Callable[[], Any], cancel: Callable[[], None] | None = None) -> Any:
    """The result of `work`, done on a thread of its own, so that an interrupt is seen while it waits.

    cancel: makes `work` end early and in order; without it an interrupt leaves it behind.
    """
    outcome: list[Any] = []
    failure: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    try:
        ended.wait()
    except KeyboardInterrupt:
        if cancel is None:
            raise
        cancel()
        ended.wait()
    if failure:
        raise failure[0]
    return outcome[0]
