from __future__ import annotations

import os

from msgspec.structs import replace

from andon.adapters.process import procfs
from andon.adapters.process.replica import ReplicaRecord
from andon.adapters.process.replicas import SetRecord
from andon.adapters.process.spawn import Group
from andon.api.v1.actions import DeployReplicas
from andon.api.v1.definitions import Health, Resources
from andon.api.v1.records import Version

SPEC = DeployReplicas(
    environment="prod",
    service="hello",
    version=Version(digest="sha256:" + "a" * 64, config_hash="b" * 12),
    command=("true",),
    config={},
    replicas=1,
    health=Health(),
    resources=Resources(),
)


def record(leader: procfs.ProcessId | None) -> SetRecord:
    group = Group(marker="nobody-has-this-marker", leader=leader)
    replicas = (ReplicaRecord(index=0, port=1, group=group),)
    return SetRecord(spec=SPEC, replicas=replicas, settled=True, boot=procfs.boot_id())


def test_replicas_that_ended_since_the_machine_started_are_not_over():
    assert not record(procfs.ProcessId(os.getpid(), 1)).is_over()


def test_replicas_from_before_the_machine_started_are_over():
    ended = record(procfs.ProcessId(os.getpid(), 1))
    assert replace(ended, boot="another").is_over()


def test_replicas_that_run_are_never_over():
    running = record(procfs.identify(os.getpid()))
    assert not replace(running, boot="another").is_over()
