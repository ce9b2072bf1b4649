from andon.adapters.haproxy.workers import Totals, parse_info, parse_leaving, parse_stat

STAT = """\
# pxname,svname,qcur,scur,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,
prod.shop.v1,s1,0,0,0,9,0,0,0,0,
prod.shop.v1,BACKEND,1,2,0,9,1,3,2,0,
nowhere,BACKEND,0,0,,,,,,,
"""
PROC = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
10              master          2 [failed: 0]   0d00h00m03s     2.8.25
# workers
12              worker          0               0d00h00m01s     2.8.25
# old workers
11              worker          1               0d00h00m02s     2.8.25
# programs

"""


def test_a_backends_counts_are_its_own_and_not_its_servers():
    totals = parse_stat(STAT)
    assert totals == {"prod.shop.v1": Totals(15, 2, 3), "nowhere": Totals()}


def test_old_workers_are_told_apart():
    assert parse_leaving(PROC) == {11}
    assert parse_leaving(PROC.replace("# old workers\n11 ", "11 ")) == frozenset()


def test_info_is_read_by_name():
    assert parse_info("Stopping: 0\nCurrConns: 3\n") == {"Stopping": "0", "CurrConns": "3"}
