"""The private PostgreSQL: a real one, whose data, roles and processes are its folder's alone."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from devkit.databases import Databases, StatementRefused
from devkit.postgres import PostgresNode
from devkit.processes import NotStarted


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("project") / ".run" / "postgres"


@pytest.fixture(scope="module")
def modes_before(folder, ancestors):
    folder.mkdir(parents=True)
    return ancestors(folder)


@pytest.fixture(scope="module")
def started(folder, modes_before) -> Iterator[PostgresNode]:
    node = PostgresNode(folder)
    node.start()
    yield node
    node.stop()


@pytest.fixture
def node(started) -> PostgresNode:
    """Running, whatever the test before did to it."""
    started.start()
    return started


def ask(url: str, question: str) -> str:
    return Databases(url, Path("/nonexistent")).run(question)


def test_no_folder_above_gets_another_mode_or_owner(node, folder, ancestors, modes_before):
    assert ancestors(folder) == modes_before


def test_root_does_not_run_it(node):
    owner = Path(f"/proc/{node.pid}").stat().st_uid

    assert owner == (os.geteuid() or 65534)


def test_it_listens_on_loopback_only(node, listening):
    assert listening(node.pid) == {"0100007F"}


def test_there_is_no_socket_that_other_users_could_open(node):
    assert ask(node.admin_url, "SHOW unix_socket_directories") == ""


def test_a_start_finds_the_server_that_runs_already(node, folder):
    again = PostgresNode(folder)

    again.start()

    assert again.pid == node.pid


def test_a_server_whose_record_is_lost_is_found_again(node, folder):
    pid = node.pid
    (folder / "postgres.pid").unlink()

    node.start()

    assert node.pid == pid


def test_a_database_asked_for_twice_has_one_url(node):
    url = node.create_database("ideas")

    assert node.create_database("ideas") == url
    assert ask(url, "SELECT current_user, current_database()") == "ideas|ideas"


def test_a_service_owns_its_database_and_nothing_else(node):
    url = node.create_database("owner")

    ask(url, "CREATE TABLE things (id int)")

    with pytest.raises(StatementRefused, match="permission denied"):
        ask(url, "CREATE ROLE more")


@pytest.mark.parametrize("database", ["theirs", "postgres", "template1"])
def test_a_service_cannot_connect_to_another_database(node, database):
    ours, _ = node.create_database("ours"), node.create_database("theirs")

    with pytest.raises(StatementRefused, match="permission denied for database"):
        ask(f"{ours.rpartition('/')[0]}/{database}", "SELECT 1")


def test_a_wrong_password_is_refused(node):
    url = node.create_database("ideas")
    password = (node.folder / "secrets" / "ideas.password").read_text()

    with pytest.raises(StatementRefused, match="password authentication failed"):
        ask(url.replace(password, "guessed"), "SELECT 1")


def test_a_given_password_replaces_the_one_before(node):
    node.create_database("given")

    url = node.create_database("given", "a b:c@d/e'f")

    assert ask(url, "SELECT current_user") == "given"
    assert node.create_database("given") == url


def test_a_service_makes_the_extensions_that_compare_words_in_arabic_and_in_french(node):
    url = node.create_database("words")

    ask(url, "CREATE EXTENSION pg_trgm")
    ask(url, "CREATE EXTENSION unaccent")
    seen = ask(url, "SELECT similarity('تعاونية النور', 'تعاونيه النور') > 0.5, unaccent('été')")

    assert seen == "t|ete"


def test_secrets_are_for_their_owner_only(node):
    node.create_database("ideas")
    secrets = node.folder / "secrets"

    modes = {path.name: path.stat().st_mode & 0o777 for path in secrets.iterdir()}

    assert secrets.stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}
    assert {"ideas.password", "postgres.password"} <= modes.keys()


def test_a_dropped_database_is_gone_with_its_role(node):
    url = node.create_database("dropped")

    node.drop_database("dropped")

    with pytest.raises(StatementRefused):
        ask(url, "SELECT 1")
    assert not (node.folder / "secrets" / "dropped.password").exists()


@pytest.mark.parametrize("name", ["", "Ideas", "a b", "../ideas", 'a"b'])
def test_a_name_that_is_none_is_refused(node, name):
    with pytest.raises(ValueError, match="no name"):
        node.create_database(name)


def test_what_was_committed_survives_a_kill(node, processes_of):
    url = node.create_database("survivor")
    ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")

    node.kill()

    assert not node.is_running()
    assert processes_of(node.folder) == []
    node.start()
    assert ask(url, "SELECT answer FROM kept") == "42"


def test_a_lock_file_that_names_a_living_stranger_does_not_keep_it_from_starting(node):
    node.kill()
    (node.data / "postmaster.pid").write_text(f"{os.getpid()}\n{node.data}\n")

    node.start()

    assert node.is_running()


def test_a_port_taken_meanwhile_is_replaced(node):
    node.stop()
    before = node.port
    with socket.create_server(("127.0.0.1", before)):
        node.start()

    assert node.port != before
    assert ask(node.admin_url, "SELECT 1") == "1"


def test_a_server_that_cannot_start_shows_why(node):
    node.stop()
    broken = node.data / "postgresql.auto.conf"
    broken.write_text("no_such_setting = 1\n")

    with pytest.raises(NotStarted, match="no_such_setting"):
        node.start()

    broken.write_text("")
    assert not node.is_running()


def test_another_process_stops_it_and_nothing_is_left(node, in_another_process, processes_of):
    in_another_process(
        "from devkit.postgres import PostgresNode; PostgresNode(folder).stop()", node.folder
    )

    assert not node.is_running()
    assert processes_of(node.folder) == []
