import os
import subprocess
import sys

import pytest

from bench.measure import Untrustworthy, children, cpu_seconds, read_result

GOOD = (
    'RESULT {"requests":800,"duration_us":2000000,"p50_us":1500,"p99_us":9000,'
    '"connect":0,"read":0,"write":0,"status":0,"timeout":0}'
)


def test_a_result_is_read_in_seconds_and_milliseconds() -> None:
    """wrk counts in microseconds."""
    load = read_result(f"Running 2s test\n{GOOD}\n", "")
    assert (load.per_second, load.p50_ms, load.p99_ms) == (400.0, 1.5, 9.0)


@pytest.mark.parametrize("kind", ["connect", "read", "write", "status", "timeout"])
def test_a_run_with_errors_gives_no_figure(kind: str) -> None:
    """An error page costs less than an answer: its speed must not count."""
    with pytest.raises(Untrustworthy, match=kind):
        read_result(GOOD.replace(f'"{kind}":0', f'"{kind}":3'), "")


def test_a_run_without_answers_gives_no_figure() -> None:
    """Nothing can be divided by no request."""
    with pytest.raises(Untrustworthy, match="no answer"):
        read_result(GOOD.replace('"requests":800', '"requests":0'), "")


def test_the_complaint_of_wrk_is_handed_on() -> None:
    """Without a result line the reason is what wrk wrote to standard error."""
    with pytest.raises(Untrustworthy, match="unable to connect"):
        read_result("", "unable to connect to 127.0.0.1:1 Connection refused")


def test_the_cpu_time_of_another_process_is_read() -> None:
    """The clock of a process is the sum over its threads, in fractions of the kernel's tick."""
    work = "import sys; print(sum(range(10**6)), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert 0.001 < cpu_seconds(child.pid) < 60
        assert child.pid in children(os.getpid())
        child.communicate()
    with pytest.raises(ProcessLookupError):
        cpu_seconds(child.pid)
