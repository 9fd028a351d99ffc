"""helm's file of chart repositories: `repositories.yaml`, shared with any other helm of this user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.foundation.private_file import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class RepositoriesError(Exception):
    """The file, or a name in it, is not as it must be."""


@dataclass(frozen=True)
class Repository:
    """One repository by its name."""

    name: str
    url: str


def repositories_file(environment: Mapping[str, str]) -> Path:
    """Where the file is. Source: helm's environment variables, as `helm env` shows them."""
    if named := environment.get("HELM_REPOSITORY_CONFIG"):
        return Path(named)
    if configured := environment.get("HELM_CONFIG_HOME"):
        return Path(configured) / "repositories.yaml"
    home = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or "~").expanduser() / ".config"
    return Path(home) / "helm" / "repositories.yaml"


def read_repositories(file: Path) -> tuple[Repository, ...]:
    """Every repository, in the file's order. Raises RepositoriesError."""
    return tuple(Repository(entry["name"], entry["url"]) for entry in _entries(file))


def add_repository(file: Path, added: Repository) -> None:
    """Record a repository, instead of one of the same name. Raises RepositoriesError, OSError."""
    kept = [entry for entry in _entries(file) if entry["name"] != added.name]
    _write(file, [*kept, {"name": added.name, "url": added.url}])


def remove_repository(file: Path, name: str) -> None:
    """Raises RepositoriesError if there is none of that name; OSError."""
    entries = _entries(file)
    kept = [entry for entry in entries if entry["name"] != name]
    if len(kept) == len(entries):
        raise RepositoriesError(f"no repo named {name!r} found".replace("'", '"'))
    _write(file, kept)


def _entries(file: Path) -> list[dict[str, Any]]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        return []
    except (OSError, yaml.YAMLError) as error:
        raise RepositoriesError(f"couldn't load repositories file ({file}): {error}") from None
    entries = content.get("repositories") if isinstance(content, dict) else None
    if not all(isinstance(entry, dict) and {"name", "url"} <= entry.keys() for entry in entries or []):
        raise RepositoriesError(f"couldn't load repositories file ({file}): an entry without a name or a url")
    return list(entries or [])


def _write(file: Path, entries: Sequence[dict[str, Any]]) -> None:
    import yaml

    generated = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    content = {"apiVersion": "", "generated": generated, "repositories": list(entries)}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, yaml.safe_dump(content).encode())
