"""What every Executor must do with the files of jobs: artifacts, reports, caches."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import asyncio
from abc import abstractmethod

import pytest
from msgspec import structs

from andon.api.v1.jobs import CachePlan, ReportsPlan
from andon.kernel.errors import AndonError
from andon.testing.executor_suite import Bench, fresh_key, plan, run

DEPS = CachePlan(name="deps", paths=("deps",), key=("lock",))
FILL = "test -e deps/made && echo found || { mkdir deps; date +%s%N >deps/made; echo made; }"
JUNIT = (
    '<testsuite><testcase classname="t" name="a"/>'
    '<testcase classname="t" name="b"><failure message="no"/></testcase></testsuite>'
)


class FilesSuite:
    """The contract. A subclass provides the fixture ``bench``."""

    @abstractmethod
    def bench(self) -> Bench:
        """Return the executor under test."""

    # --- artifacts -------------------------------------------------------------------------------

    async def test_what_a_job_leaves_is_where_the_next_one_looks(self, bench: Bench) -> None:
        script = "mkdir -p dist/bin; echo x >dist/bin/tool; chmod +x dist/bin/tool; ln -s bin/tool dist/l"
        made = await run(bench, plan(script + "; echo no >other", artifacts=("dist/**",)))
        assert made.artifact.startswith("sha256:")
        look = "test -x dist/bin/tool; cat dist/l; test ! -e other"
        used = await run(bench, look, takes=(made.artifact,))
        assert (used.state, bench.log(used.log)) == ("passed", b"x\n")

    async def test_later_artifact_takes_the_place_of_an_earlier_one(self, bench: Bench) -> None:
        one = await run(bench, plan("mkdir out; echo 1 >out/a; echo 1 >out/b", artifacts=("out",)))
        two = await run(bench, plan("mkdir out; echo 2 >out/b; echo 2 >README", artifacts=("**",)))
        used = await run(bench, "cat out/a out/b README", takes=(one.artifact, two.artifact))
        assert bench.log(used.log) == b"1\n2\n2\n"

    async def test_pass_that_leaves_no_artifact_is_a_failure(self, bench: Bench) -> None:
        done = await run(bench, plan("true", artifacts=("dist/**",)))
        assert (done.state, done.fault, done.reason) == ("failed", "change", "failure")
        assert "dist/**" in done.message

    async def test_failed_job_leaves_no_artifact(self, bench: Bench) -> None:
        done = await run(bench, plan("echo 1 >a; exit 1", artifacts=("a",)))
        assert (done.state, done.artifact) == ("failed", "")

    @pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "d/../../../x"])
    async def test_link_that_leads_outside_is_no_artifact(self, bench: Bench, target: str) -> None:
        done = await run(bench, plan(f"mkdir out; ln -s {target} out/l", artifacts=("out",)))
        assert (done.state, done.artifact) == ("failed", "")
        assert "leads outside" in done.message

    async def test_nothing_is_taken_from_behind_a_link(self, bench: Bench) -> None:
        done = await run(bench, plan("ln -s /etc out", artifacts=("out/passwd",)))
        assert (done.state, done.artifact) == ("failed", "")

    async def test_nothing_is_put_behind_a_link(self, bench: Bench) -> None:
        link = await run(bench, plan("mkdir a; ln -s a b", artifacts=("a", "b")))
        files = await run(bench, plan("mkdir b; echo 1 >b/x", artifacts=("b",)))
        used = await run(
            bench, "test ! -L b; test ! -e a/x; cat b/x", takes=(link.artifact, files.artifact)
        )
        assert (used.state, used.message) == ("passed", "")

    async def test_artifact_that_is_gone_is_said_before_the_job_begins(self, bench: Bench) -> None:
        with pytest.raises(AndonError, match="artifact"):
            await run(bench, "echo never", takes=("sha256:" + "0" * 64,))

    # --- reports ---------------------------------------------------------------------------------

    async def test_tests_that_failed_are_told_one_by_one(self, bench: Bench) -> None:
        job = plan("cp given report.xml; exit 1", reports=ReportsPlan(junit=("*.xml",)))
        done = await run(bench, job, {"given": JUNIT})
        assert done.tests is not None
        assert (done.tests.passed, done.tests.failed) == (1, 1)
        assert [case.id for case in done.tests.failures] == ["t::b"]

    async def test_report_that_is_named_and_missing_fails_a_pass(self, bench: Bench) -> None:
        done = await run(bench, plan("true", reports=ReportsPlan(junit=("report.xml",))))
        assert (done.state, done.fault) == ("failed", "change")
        assert "report.xml" in done.message

    async def test_missing_report_of_a_failure_does_not_hide_why_it_failed(
        self, bench: Bench
    ) -> None:
        job = plan("echo the real reason; exit 5", reports=ReportsPlan(junit=("report.xml",)))
        done = await run(bench, job)
        assert done.exit_code == 5
        assert "the real reason" in done.message

    async def test_exit_code_that_was_swallowed_hides_no_failed_test(self, bench: Bench) -> None:
        case = '<testcase classname="shop" name="pays"><failure message="no"/></testcase>'
        write = f"echo '<testsuite>{case}</testsuite>' >report.xml"
        done = await run(bench, plan(write, reports=ReportsPlan(junit=("report.xml",))))
        assert (done.state, done.fault, done.exit_code) == ("failed", "change", 0)
        assert "shop::pays" in done.message

    # --- caches ----------------------------------------------------------------------------------

    async def test_cache_is_kept_after_a_pass_and_found_again(self, bench: Bench) -> None:
        job = plan(FILL, caches=(DEPS,))
        first = await run(bench, job, {"lock": "1"})
        again = await run(bench, job, {"lock": "1"})
        assert (first.caches, again.caches) == ({"deps": "miss+kept"}, {"deps": "hit"})
        assert bench.log(again.log) == b"found\n"

    async def test_other_inputs_find_another_cache(self, bench: Bench) -> None:
        job = plan(FILL, caches=(DEPS,))
        await run(bench, job, {"lock": "1"})
        assert (await run(bench, job, {"lock": "2"})).caches == {"deps": "miss+kept"}
        also = plan(FILL, caches=(structs.replace(DEPS, also=("3.12",)),))
        assert (await run(bench, also, {"lock": "1"})).caches == {"deps": "miss+kept"}

    async def test_nearest_cache_is_one_to_start_from(self, bench: Bench) -> None:
        job = plan(FILL, caches=(structs.replace(DEPS, nearest=True),))
        await run(bench, job, {"lock": "1"})
        done = await run(bench, job, {"lock": "2"})
        assert (done.caches, bench.log(done.log)) == ({"deps": "nearest+kept"}, b"found\n")

    async def test_failed_job_keeps_no_cache(self, bench: Bench) -> None:
        job = plan(f"{FILL}; exit 1", caches=(DEPS,))
        assert (await run(bench, job, {"lock": "1"})).caches == {"deps": "miss"}
        assert (await run(bench, job, {"lock": "1"})).caches == {"deps": "miss"}

    async def test_stranger_reads_caches_and_writes_none(self, bench: Bench) -> None:
        job = plan(FILL, caches=(DEPS,))
        stranger = await run(bench, job, {"lock": "1"}, trusted=False)
        assert stranger.caches == {"deps": "miss"}
        assert (await run(bench, job, {"lock": "1"})).caches == {"deps": "miss+kept"}
        assert (await run(bench, job, {"lock": "1"}, trusted=False)).caches == {"deps": "hit"}

    async def test_cache_brings_links_and_rights_but_replaces_no_file_of_the_commit(
        self, bench: Bench
    ) -> None:
        script = "mkdir -p deps; echo mine >deps/file; ln -sf /usr/bin/env deps/env"
        job = plan(f"test -L deps/env && cat deps/file; {script}", caches=(DEPS,))
        await run(bench, job, {"lock": "1"})
        done = await run(bench, job, {"lock": "1", "deps/file": "the commit's\n"})
        assert (done.caches, bench.log(done.log)) == ({"deps": "hit"}, b"the commit's\n")

    async def test_two_jobs_may_keep_the_same_cache_at_once(self, bench: Bench) -> None:
        job = plan(FILL, caches=(DEPS,))
        jobs = [run(bench, job, {"lock": "1"}, key=fresh_key()) for _ in range(4)]
        assert {done.state for done in await asyncio.gather(*jobs)} == {"passed"}
        assert (await run(bench, job, {"lock": "1"})).caches == {"deps": "hit"}
