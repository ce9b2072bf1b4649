"""The play of ``andon demo``: a shop ships four versions; one is bad, and one is interrupted.

Everything is real: a git repository, this program as control plane and agent, HAProxy, processes, an
open-loop load generator and a webhook receiver, each a process of its own on loopback.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from andon.cli.demo.killing import Kill
from andon.cli.demo.outcome import budget, exposure, figures, rollout
from andon.cli.demo.shop import ShopRepository, make_repository
from andon.client.wire import Client
from andon.kernel.errors import AndonError, InternalError, TimedOut, Unavailable

Json = dict[str, Any]

POLL_SECONDS = 0.1
START_SECONDS = 30.0
SHIP_SECONDS = 150.0
LAST_REPORT_SECONDS = 10.0
KEEP = "keep"
OVER = frozenset({"Succeeded", "Failed", "RolledBack", "Cancelled"})


class Options(Struct, frozen=True, kw_only=True):
    """How the play goes.

    Args:
        seed: Of the traffic and of which clients the bad version fails.
        fault_percent: Share of requests the third version fails, 0 to 100; 0 makes it a good one.
        fault_service: Which service's third version it is.
        rate: Requests a second.
        keep: Leave everything running at the end.
    """

    seed: int = 1
    fault_percent: float = 5.0
    fault_service: str = "storefront"
    rate: float = 300.0
    keep: bool = False


class Screen(Protocol):
    """Shows the play while it happens."""

    def scene(self, title: str) -> None:
        """A new part begins."""
        ...

    def say(self, text: str) -> None:
        """Something happened."""
        ...

    def show(self, change: Json, load: Json) -> None:
        """How a change and the traffic stand now."""
        ...


class Play:
    """One performance.

    Args:
        options: How it goes.
        screen: Shows it.
        folder: Where everything is kept.
    """

    def __init__(self, options: Options, screen: Screen, folder: Path) -> None:
        self.options = options
        self.screen = screen
        self.folder = folder
        self.state = folder / "state"
        self.client = Client(self.state)
        self.began = time.monotonic()
        self.shop: ShopRepository
        self._control: subprocess.Popen[bytes] | None = None
        self._load: subprocess.Popen[bytes] | None = None
        self._receiver: subprocess.Popen[bytes] | None = None
        self._report = folder / "load.json"
        self._told = folder / "told.json"
        self.address = ""

    # --- the scenes ------------------------------------------------------------------------------

    def perform(self) -> Json:
        """Play all scenes; what came of it."""
        options = self.options
        self.screen.scene("A shop in git, a control plane, an agent, a gateway")
        self.shop = make_repository(
            self.folder / "shop",
            fault_percent=options.fault_percent,
            fault_service=options.fault_service,
            seed=options.seed,
        )
        self._start_receiver()
        self.start_control_plane()

        self.screen.scene("Version 1: the first release, judged against its Objective alone")
        first = self.ship(1, self._start_load_when_served)
        self.screen.scene("Version 2: a good change, canary 10 → 25 → 50 → 100 %")
        second = self.ship(2)
        self.screen.scene(self._third_title())
        third = self.ship(3)
        why = self._why(third)
        self.screen.scene("Version 4: a good change; the control plane is killed in mid-canary")
        kill = Kill(self)
        fourth = self.ship(4, kill.maybe)
        load = self.stop_load()
        return self._result([first, second, third, fourth], load, why, kill)

    def _result(self, changes: list[Json], load: Json, why: Json, kill: Kill) -> Json:
        options = self.options
        ledger = self.client.get("/ledger/verify")
        return {
            "total_seconds": round(time.monotonic() - self.began, 2),
            **figures(
                changes,
                load,
                fault_percent=options.fault_percent,
                service=options.fault_service,
            ),
            "budget": self._budget(changes[2]),
            "resumed_after_kill": kill.resumed(changes[3]),
            "ledger_ok": ledger["ok"],
            "ledger_events": ledger["events"],
            "webhooks": self._webhooks(),
            "seed": options.seed,
            "why": why,
        }

    def _budget(self, third: Json) -> Json:
        """Wait until what the third version did is counted, and tell what it cost."""
        service = self.options.fault_service
        _, until = exposure(rollout(third, service))
        found: list[Json] = []

        def told() -> bool:
            standing = budget(self.client.get("/objectives"), service, until)
            found.extend([standing] if standing else [])
            return bool(found)

        self.wait(told, "the third version is not counted by any Objective")
        return found[0]

    def _webhooks(self) -> int:
        try:
            return len(json.loads(self._told.read_text()))
        except (OSError, ValueError):
            return 0

    def _third_title(self) -> str:
        options = self.options
        if not options.fault_percent:
            return "Version 3: another good change"
        return (
            f"Version 3: passes all its tests, fails {options.fault_percent:g} % of the requests to "
            f"{options.fault_service}"
        )

    def ship(self, number: int, meanwhile: Callable[[Json], None] = lambda change: None) -> Json:
        """Commit a version, ship it, and follow it to its end."""
        sha = self.shop.commit_version(number)
        body = {
            "repository": str(self.shop.path),
            "ref": sha,
            "until": "",
        }
        shipped = self.client.post("/ship", body)
        self.screen.say(f"commit {sha[:12]}: {shipped['message'].splitlines()[0]}")
        deadline = time.monotonic() + SHIP_SECONDS
        while True:
            change = self._change(shipped["change"])
            if change:
                meanwhile(change)
                self.screen.show(change, self.load_report())
                if change["phase"] in OVER and self._settled(change):
                    return change
            self._check_helpers()
            if time.monotonic() > deadline:
                raise TimedOut(f"version {number} did not end within {SHIP_SECONDS:g} s")
            time.sleep(POLL_SECONDS)

    def _change(self, name: str) -> Json:
        try:
            answer: Json = self.client.get(f"/changes/{name}")
        except Unavailable:
            return {}
        return answer

    def _settled(self, change: Json) -> bool:
        return all(run["phase"] in OVER for run in change["runs"])

    def _why(self, change: Json) -> Json:
        if change["phase"] == "Succeeded":
            return {}
        answer: Json = self.client.get(f"/why?subject={change['name']}")
        return answer

    # --- processes -------------------------------------------------------------------------------

    def start_control_plane(self) -> None:
        """Start the control plane as a user would, and wait until it answers."""
        command = [sys.executable, "-m", "andon", "--state", str(self.state), "up", "--port", "0"]
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "control-plane.log").open("ab") as log:
            self._control = subprocess.Popen(
                [*command, "--notify", self._hook()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait(self._answers, "the control plane does not answer")

    def rate(self) -> float:
        """Return how many requests are sent each second."""
        return self.options.rate

    def say(self, text: str) -> None:
        """Tell what happened."""
        self.screen.say(text)

    def kill_control_plane(self) -> None:
        """SIGKILL, as a machine out of memory would."""
        assert self._control is not None
        self._control.send_signal(signal.SIGKILL)
        self._control.wait()

    def _answers(self) -> bool:
        if self._control is not None and self._control.poll() is not None:
            log = (self.folder / "control-plane.log").read_text()[-2000:]
            raise Unavailable(f"the control plane ended at once:\n{log}")
        try:
            self.client.get("/health")
        except Unavailable:
            return False
        return True

    def _start_receiver(self) -> None:
        self._receiver = _spawn(
            "andon.cli.demo.receiver",
            "--file",
            str(self._told),
            "--port-file",
            str(self._port_file()),
        )
        self.wait(self._port_file().exists, "the webhook receiver does not start")

    def _port_file(self) -> Path:
        return self.folder / "receiver.port"

    def _hook(self) -> str:
        return f"http://127.0.0.1:{self._port_file().read_text().strip()}/"

    def _start_load_when_served(self, change: Json) -> None:
        if self._load is not None:
            return
        for service in self.client.get("/status?environment=prod")["services"]:
            if service["service"] != "storefront" or not service["address"]:
                continue
            steps = {
                step["name"]: step["state"]
                for run in change["runs"]
                if run["environment"] == "prod" and run["service"] == "storefront"
                for step in run["steps"]
            }
            if steps.get("deploy") == "passed":
                self.address = service["address"]
                self._load = _spawn(
                    "andon.cli.demo.load",
                    *("--url", self.address, "--rate", str(self.options.rate)),
                    *("--seed", str(self.options.seed), "--report", str(self._report)),
                )
                self.screen.say(f"{self.options.rate:g} requests/s to {self.address}")

    def load_report(self) -> Json:
        """Return the load generator's latest figures; empty before the first."""
        try:
            report: Json = json.loads(self._report.read_text())
        except (OSError, ValueError):
            return {}
        return report

    def stop_load(self) -> Json:
        """End the load generator; its final report."""
        if self._load is None:
            raise InternalError("the load generator was never started: no address in prod")
        self._load.terminate()
        self._load.wait(LAST_REPORT_SECONDS)
        return self.load_report()

    def _check_helpers(self) -> None:
        for process, what in ((self._load, "load generator"), (self._receiver, "receiver")):
            if process is not None and process.poll() is not None:
                raise InternalError(f"the {what} ended with {process.returncode}")

    def wait(
        self, ready: Callable[[], bool], otherwise: str, seconds: float = START_SECONDS
    ) -> None:
        """Wait for something to be so.

        Raises:
            TimedOut: It is not, within so many seconds.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise TimedOut(otherwise, hint=f"its log is in {self.folder}")
            time.sleep(0.05)

    def end(self) -> None:
        """End everything this play has started."""
        for process in (self._load, self._receiver):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(LAST_REPORT_SECONDS)
        if self._control is not None:
            command = [sys.executable, "-m", "andon", "--state", str(self.state), "down"]
            subprocess.run(command, capture_output=True, timeout=60, check=False)
            self._control.wait(START_SECONDS)


def _spawn(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def run_demo(options: Options, screen: Screen, finish: Callable[[Json, Path], None]) -> Json:
    """Play, tell, and clean up.

    Args:
        options: How it goes.
        screen: Shows it while it happens.
        finish: Told the result and the folder before everything ends.

    Raises:
        AndonError: The play could not be played.
    """
    folder = Path(tempfile.mkdtemp(prefix="andon-demo-"))
    play = Play(options, screen, folder)
    signal.signal(signal.SIGTERM, _interrupt)
    kept = False
    try:
        result = play.perform()
        kept = options.keep
        finish(result, folder)
    except AndonError as error:
        error.hint = error.hint or f"the logs are in {folder}"
        keep_logs(folder)
        raise
    finally:
        if not kept:
            _end_undisturbed(play)
            if not (folder / KEEP).exists():
                shutil.rmtree(folder, ignore_errors=True)
    return result


def _end_undisturbed(play: Play) -> None:
    """End what was started, even for somebody who presses Ctrl-C again and again."""
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        play.end()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_logs(folder: Path) -> None:
    """Leave the folder of a play that went wrong, for whoever wants to know why."""
    (folder / KEEP).touch()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
