"""docker-compose.yml keeps our promises: no secrets, no needless rights, an order of starting."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from shutil import copytree
from typing import Any

import asyncpg
import pytest
import yaml
from sqlalchemy.engine import make_url

from devkit.databases import psql
from devkit.nodes import Postgres
from devkit.stack_layout import PROVISIONER, SERVICES
from shared.kernel.data.database import MOST
from shared.kernel.service.spec import spec_of

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
EVERYTHING: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = {name: each for name, each in EVERYTHING.items() if each["restart"] != "no"}
OPERATOR = "taawon"
"""Only there when it is called: the operator's command."""
JOBS = {
    name: each for name, each in EVERYTHING.items() if each["restart"] == "no" and name != OPERATOR
}
OURS = {name: each for name, each in EVERYTHING.items() if "build" in each}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")

VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?P<rest>:[?-][^}]*)?\}")
PASSWORD_IN_URL = re.compile(r"://[^:/@]+:(?P<password>[^@]+)@")
SECRET = re.compile(r"PASS|KEYS|SECRET")
REQUIRED = re.compile(r"\$\{TAAWON_[A-Z_]+:\?write .env with make secrets\}")

BESIDE_THE_POOL = 2
"""Connections of a service beside its pool: one of the relay, one of all jobs."""
FOR_PEOPLE = 20
"""Connections of commands, migrations and backups, and those kept for the administrator."""

each_lasting = pytest.mark.parametrize("name", LASTING)
each_service = pytest.mark.parametrize("name", EVERYTHING)


def environment() -> Iterator[tuple[str, str, str]]:
    """Every variable of every container, as written."""
    for name, service in EVERYTHING.items():
        for variable, value in service.get("environment", {}).items():
            yield name, variable, str(value)


def test_every_secret_comes_from_outside_and_must_be_given():
    secrets = [
        (name, variable, value)
        for name, variable, value in environment()
        if SECRET.search(variable)
    ]
    in_urls = [
        (name, variable, found["password"])
        for name, variable, value in environment()
        for found in PASSWORD_IN_URL.finditer(value)
    ]

    literal = [entry for entry in (*secrets, *in_urls) if not REQUIRED.fullmatch(entry[2])]

    assert len(secrets) > 5
    assert len(in_urls) > 5
    assert literal == []


def test_the_example_names_every_variable_and_holds_no_secret():
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    used = {
        found["name"]: found["rest"] or ""
        for found in VARIABLE.finditer((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    }

    assert example.keys() == used.keys()
    for name, rest in used.items():
        assert rest in {f":-{example[name]}", ":?write .env with make secrets"}, name


def test_made_secrets_fill_every_place_are_private_and_are_never_overwritten(tmp_path):
    copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / ".env.example").write_bytes((ROOT / ".env.example").read_bytes())
    command = [sys.executable, tmp_path / "deploy" / "make_env.py"]

    first, again = (subprocess.run(command, capture_output=True, text=True) for _ in range(2))

    made = (tmp_path / ".env").read_text(encoding="utf-8")
    pairs = [line.split("=", 1) for line in made.splitlines() if "=" in line and line[0] != "#"]
    values = [value for name, value in pairs if SECRET.search(name)]
    assert (first.returncode, again.returncode) == (0, 1)
    assert "change it by hand" in again.stderr
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert len(values) == len(set(values)) > 5
    assert all(values)
    assert dict(pairs)["TAAWON_TRUSTED_PROXIES"] == "", "a setting is no secret"


@each_service
def test_no_container_has_a_needless_right(name):
    service = EVERYTHING[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & service.keys()
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", ()))
    assert "env_file" not in service, "every secret would be given to it"


@each_service
def test_no_container_runs_as_root(name):
    if name in OURS:
        (user,) = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
        assert "user" not in EVERYTHING[name]
    else:
        assert EVERYTHING[name]["user"].partition(":")[0] not in {"", "0", "root"}


@each_service
def test_no_container_takes_the_whole_machine(name):
    service = EVERYTHING[name]

    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["cpus"] > 0
    assert service["pids_limit"] > 0
    assert service["logging"] == {
        "driver": "json-file",
        "options": {"max-size": "10m", "max-file": "5"},
    }


@each_lasting
def test_what_lasts_is_restarted_and_says_whether_it_is_healthy(name):
    service = LASTING[name]

    assert service["restart"] == "unless-stopped"
    if name in SERVICES:
        assert "healthcheck" not in service, "the image brings it"
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
    assert service.get("stop_grace_period", "10s") in {"10s", "30s", "60s"}


def test_the_image_asks_its_own_api_whether_it_is_ready():
    (check,) = re.findall(r"^HEALTHCHECK(?:.*\\\n)*.*$", DOCKERFILE, re.MULTILINE)

    assert "/readyz" in check
    assert 'CMD ["python"' in check


def test_a_frozen_process_is_ended_by_the_health_check():
    """The engine starts again what has ended, and leaves what is only unhealthy."""
    (check,) = re.findall(r"^HEALTHCHECK(?:.*\\\n)*.*$", DOCKERFILE, re.MULTILINE)
    provisioner = EVERYTHING[PROVISIONER]["healthcheck"]["test"][-1]

    for each in (check, provisioner):
        assert "heartbeat.end_frozen_process()" in each
    assert check.index("end_frozen_process") < check.index("/readyz")
    assert "TAAWON_HEARTBEAT_FILE=/tmp/heartbeat" in DOCKERFILE
    for name in (*SERVICES, PROVISIONER):
        assert EVERYTHING[name]["environment"]["TAAWON_FROZEN_SECONDS"], name
        assert EVERYTHING[name]["init"] is True, "the first process of a container can't be killed"


def test_the_provisioner_is_not_healthy_while_its_broker_is_away():
    _, *command = EVERYTHING[PROVISIONER]["healthcheck"]["test"]
    env = {**os.environ, "TAAWON_RABBIT_MANAGEMENT_URL": "http://boss:hidden@127.0.0.1:1"}

    run = subprocess.run(
        [sys.executable, *command[1:]], env=env, capture_output=True, text=True, cwd=ROOT
    )

    assert (run.returncode, run.stderr) == (1, "")


def test_jobs_run_once_and_have_no_health():
    assert JOBS.keys() == {
        "broker-users",
        *(f"{job}-{service}" for job in ("migrate", "topology") for service in SERVICES),
    }
    for name, job in JOBS.items():
        assert job["healthcheck"] == {"disable": True}, name
        assert "ports" not in job


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_after_its_schema_and_everybodys_queues(service):
    awaited = EVERYTHING[service]["depends_on"]

    assert awaited == {
        f"migrate-{service}": {"condition": "service_completed_successfully"},
        **{
            f"topology-{each}": {"condition": "service_completed_successfully"} for each in SERVICES
        },
    }


@pytest.mark.parametrize("service", SERVICES)
def test_queues_are_declared_by_the_image_that_knows_the_consumers(service):
    job = EVERYTHING[f"topology-{service}"]

    assert job["image"] == EVERYTHING[service]["image"]
    assert job["command"] == ["topology", "apply"]
    assert "broker-users" in ancestors(f"topology-{service}")
    assert ancestors(f"migrate-{service}") == {"postgres"}


def test_servers_are_healthy_before_anybody_needs_them():
    waiting = [
        each["depends_on"][server]
        for each in EVERYTHING.values()
        for server in {"postgres", "rabbitmq"} & each.get("depends_on", {}).keys()
    ]

    assert waiting
    assert all(each == {"condition": "service_healthy"} for each in waiting)


@pytest.mark.parametrize("name", OURS)
def test_every_image_comes_from_the_one_recipe(name):
    build, image = OURS[name]["build"], OURS[name]["image"]

    assert build["context"] == "."
    assert build.keys() == {"context", "args"}
    assert image == f"taawon/{build['args']['SERVICE']}:${{TAAWON_VERSION:-dev}}"
    assert build["args"]["SERVICE"] in {*SERVICES, "cli"}


def test_the_operators_command_starts_only_when_it_is_called():
    assert EVERYTHING[OPERATOR]["profiles"] == ["tools"]
    assert EVERYTHING[OPERATOR]["healthcheck"] == {"disable": True}
    assert EVERYTHING[OPERATOR]["networks"] == ["inside"]
    assert "ports" not in EVERYTHING[OPERATOR]


def test_a_service_holds_its_own_credentials_and_no_others():
    for service in SERVICES:
        text = str(EVERYTHING[service]["environment"])
        others = [each.upper() for each in SERVICES if each != service]
        assert not re.search(f"TAAWON_({'|'.join(others)})_", text), service
        assert "ADMIN" not in text, service
        assert ("TAAWON_SEAL_KEYS" in text) == bool(spec_of(service).sealed), service


def test_the_brokers_administrator_is_known_to_no_service():
    holders = {name for name, _, value in environment() if "TAAWON_BROKER_ADMIN_PASSWORD" in value}

    assert holders == {
        "rabbitmq",
        "broker-users",
        PROVISIONER,
        OPERATOR,
        *(f"topology-{service}" for service in SERVICES),
    }
    assert "ports" not in EVERYTHING[PROVISIONER]
    assert EVERYTHING[PROVISIONER]["networks"] == ["inside"]


def test_databases_and_administration_are_not_open_to_the_network():
    assert "ports" not in EVERYTHING["postgres"]
    assert EVERYTHING["postgres"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert "127.0.0.1:${TAAWON_MANAGEMENT_PORT:-15672}:15672" in EVERYTHING["rabbitmq"]["ports"]
    inner = {port.rpartition(":")[2] for port in EVERYTHING["rabbitmq"]["ports"]}
    assert inner == {"5671", "15672"}, "AMQP without TLS is published nowhere"
    published = [port for each in EVERYTHING.values() for port in each.get("ports", ())]
    assert all(port.startswith(("127.0.0.1:", "${TAAWON_BIND:-127.0.0.1}:")) for port in published)


def test_metrics_are_published_nowhere():
    for service in SERVICES:
        (port,) = EVERYTHING[service]["ports"]
        assert port.endswith(":8000"), service
    assert "TAAWON_INTERNAL_PORT=9100" in DOCKERFILE


def test_queues_and_services_follow_the_same_schedule():
    delays = {value for _, variable, value in environment() if variable == "TAAWON_RETRY_DELAYS"}

    assert len(delays) == 1


def test_the_databases_script_and_the_broker_job_know_every_service():
    script = (ROOT / "deploy" / "postgres" / "10-services.sh").read_text(encoding="utf-8")

    (made,) = re.findall(r"^for service in (.*); do$", script, re.MULTILINE)
    assert sorted(made.split()) == list(SERVICES)
    assert EVERYTHING["broker-users"]["command"][:2] == ["broker", "users"]
    assert sorted(EVERYTHING["broker-users"]["command"][2:]) == list(SERVICES)


async def test_the_databases_script_gives_each_service_a_database_that_is_closed_to_others(
    postgres,
):
    passwords = {service: token_hex(8) for service in SERVICES}
    try:
        for _ in range(2):  # a second run changes nothing
            made = run_databases_script(as_the_image(postgres, passwords))
            assert made.returncode == 0, made.stderr

        own = await sign_in(postgres, "ideas", passwords["ideas"], database="ideas")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await sign_in(postgres, "ideas", passwords["ideas"], database="funding")
    finally:
        for service in SERVICES:
            postgres.databases.drop(service)

    assert own == "ideas"


def test_the_databases_script_names_the_password_that_is_missing(postgres):
    run = run_databases_script(as_the_image(postgres, {}))

    assert run.returncode == 1
    assert "TAAWON_REGISTRY_DATABASE_PASSWORD is not set" in run.stderr


def run_databases_script(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The script that the image runs on an empty volume."""
    script = ["sh", ROOT / "deploy" / "postgres" / "10-services.sh"]
    return subprocess.run(script, env=env, capture_output=True, text=True)


def as_the_image(postgres: Postgres, passwords: dict[str, str]) -> dict[str, str]:
    """What the script is given by the image of the server."""
    admin = make_url(postgres.found.admin_url)
    return {
        "PATH": f"{psql().parent}:{os.environ['PATH']}",
        "POSTGRES_USER": admin.username or "",
        "PGPASSWORD": admin.password or "",
        "PGHOST": admin.host or str(admin.query["host"]),
        "PGPORT": str(admin.port or 5432),
        **{f"TAAWON_{each.upper()}_DATABASE_PASSWORD": it for each, it in passwords.items()},
    }


async def sign_in(postgres: Postgres, user: str, password: str, *, database: str) -> str:
    """The role that the server knows the caller by."""
    url = make_url(postgres.found.admin_url).set(
        drivername="postgresql", username=user, password=password, database=database
    )
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        return await connection.fetchval("SELECT current_user")
    finally:
        await connection.close()


def test_the_image_has_neither_tests_nor_local_servers():
    copied = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)

    assert copied
    assert not any("tests" in line or line.startswith(". ") for line in copied)
    assert "--extra" not in DOCKERFILE
    assert DOCKERFILE.count("uv sync --frozen --no-dev") == 2


def test_the_server_has_connections_for_two_of_every_service():
    """Beyond its limit a server refuses whoever comes, and a service takes that for an outage."""
    given = int(EVERYTHING["postgres"]["command"][-1].removeprefix("max_connections="))
    service = MOST + BESIDE_THE_POOL
    provisioner = MOST + 1

    assert 2 * len(SERVICES) * service + provisioner + FOR_PEOPLE <= given


def ancestors(name: str) -> set[str]:
    """Everything that has to be there before this."""
    waiting, found = [name], set()
    while waiting:
        for each in EVERYTHING[waiting.pop()].get("depends_on", {}):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return found
