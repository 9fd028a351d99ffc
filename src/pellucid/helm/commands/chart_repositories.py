"""`helm repo`: the chart repositories of this user. Their indexes are read when a chart is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.helm.call import CommandFailed
from pellucid.helm.chart_sources import is_stand_in_repository
from pellucid.helm.output import as_data, chosen_format, table
from pellucid.helm.repositories import Repository, add_repository, read_repositories, remove_repository

if TYPE_CHECKING:
    from pellucid.helm.call import Call


def add(call: Call) -> int:
    """Record a repository; one in whose place this program's own charts stand is not asked anything."""
    name, url = call.arguments
    if "/" in name:
        raise CommandFailed(
            f"repository name ({name}) contains '/'. Please specify a different name without '/'"
        )
    file = call.repositories_file()
    known = {repository.name: repository for repository in read_repositories(file)}
    added = Repository(name, url)
    if known.get(name) == added and not call.said.boolean("force-update"):
        call.output(f'"{name}" already exists with the same configuration, skipping')
        return 0
    if name in known and not call.said.boolean("force-update"):
        raise CommandFailed(f"repository name ({name}) already exists, please specify a different name")
    if not is_stand_in_repository(added) and (reason := _no_answer(added)):
        raise CommandFailed(
            f'looks like "{url}" is not a valid chart repository or cannot be reached: {reason}'
        )
    add_repository(file, added)
    call.output(f'"{name}" has been added to your repositories')
    return 0


def list_repositories(call: Call) -> int:
    form = chosen_format(call.said)
    known = read_repositories(call.repositories_file())
    if form != "table":
        call.output(as_data([{"name": one.name, "url": one.url} for one in known], form))
        return 0
    if not known:
        raise CommandFailed("no repositories to show")
    call.output(table([("NAME", "URL"), *((one.name, one.url) for one in known)]))
    return 0


def remove(call: Call) -> int:
    for name in call.arguments:
        remove_repository(call.repositories_file(), name)
        call.output(f'"{name}" has been removed from your repositories')
    return 0


def update(call: Call) -> int:
    """Ask each repository for its index; nothing is kept of it."""
    known = {repository.name: repository for repository in read_repositories(call.repositories_file())}
    if not known:
        raise CommandFailed("no repositories found. You must add one before updating")
    if strangers := [name for name in call.arguments if name not in known]:
        raise CommandFailed(f"no repositories found matching {strangers}.  Nothing will be updated")
    call.output("Hang tight while we grab the latest from your chart repositories...")
    failed: list[str] = []
    for name in call.arguments or tuple(known):
        if is_stand_in_repository(known[name]):
            call.output(f'...Charts of the "{name}" chart repository are this program\'s own')
        elif reason := _no_answer(known[name]):
            url = known[name].url
            failed.append(url)
            call.output(f'...Unable to get an update from the "{name}" chart repository ({url}):\n\t{reason}')
        else:
            call.output(f'...Successfully got an update from the "{name}" chart repository')
    if failed:
        raise CommandFailed(f"failed to update the following repositories: {failed}")
    call.output("Update Complete. ⎈Happy Helming!⎈")
    return 0


def _no_answer(repository: Repository) -> str:
    """Why a repository's index cannot be had; empty if it can."""
    from pellucid.helm.engine import EngineError, repository_index

    try:
        repository_index(repository.url)
    except EngineError as error:
        return str(error)
    return ""
