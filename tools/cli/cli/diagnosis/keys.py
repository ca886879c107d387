"""What is wrong with the keys of personal fields, and with those that sign tokens."""

from __future__ import annotations

from collections.abc import Iterator

from .observations import Finding, Observations, Rule, ServiceObservation, Severity, known_statuses


def _seal_keys(seen: Observations) -> Iterator[Finding]:
    for name, status in known_statuses(seen):
        if name in seen.sealing and not status.seals:
            yield Finding(
                Severity.ERROR,
                "seal-keys-missing",
                name,
                f"{name} has no key to personal fields",
                "set TAAWON_SEAL_KEYS to the keys that all sealing services share, then start it"
                " again",
            )


def _sealed_values(seen: Observations) -> Iterator[Finding]:
    for one in seen.services:
        if one.not_counted is not None and one.status is not None:
            yield Finding(
                Severity.WARNING,
                "sealed-not-counted",
                one.name,
                f"{one.name} did not report under which keys its values rest: {one.not_counted}",
                "count them where there is no limit of seconds",
                f"taawon keys status {one.name}",
            )
        for store, counts in (one.sealed.stores if one.sealed else {}).items():
            yield from _sealed_in(store, counts, one)


def _sealed_in(store: str, counts: dict[str, int], one: ServiceObservation) -> Iterator[Finding]:
    assert one.sealed is not None
    openable = set(one.sealed.keys)
    if unreadable := sum(counts[key] for key in counts.keys() - openable):
        yield Finding(
            Severity.ERROR,
            "sealed-unreadable",
            one.name,
            f"{unreadable} values in {store} of {one.name} open with no key",
            "put the key that was removed back at the end of TAAWON_SEAL_KEYS, then seal"
            " everything anew before it goes; without that key these values are lost",
            f"taawon keys status {one.name}",
        )
    old = [key for key in sorted(openable - {one.sealed.newest}) if counts.get(key)]
    if old:
        yield Finding(
            Severity.WARNING,
            "sealed-under-old-key",
            one.name,
            f"{sum(counts[key] for key in old)} values in {store} of {one.name} rest under"
            f" {', '.join(old)}, which is not the newest key",
            "seal them anew; the command wants the settings of the service",
            f"taawon keys rotate {one.name}",
        )


def _signing_keys(seen: Observations) -> Iterator[Finding]:
    if seen.keys_url is None or seen.signing_keys:
        return
    state = "can't be read" if seen.signing_keys is None else "is empty"
    works = all(one.checks and all(one.checks.values()) for one in seen.services
                if one.name == "registry")  # fmt: skip
    yield Finding(
        Severity.ERROR,
        "signing-keys",
        "registry",
        f"the list of signing keys at {seen.keys_url} {state}: no token will be accepted",
        "start the registry again; it makes a key where there is none"
        if works
        else "mend what else is wrong with the registry: it publishes its keys again then",
        f"curl -i {seen.keys_url}",
    )


RULES: tuple[Rule, ...] = (_seal_keys, _sealed_values, _signing_keys)
