"""Series with everything that makes queries hard: resets, gaps, ends, histograms, odd values."""

from __future__ import annotations

import random

from andon.ports.telemetry import Labels

START_MS = 1_700_000_000_000
STEP_MS = 15_000
STEPS = 480
END_MS = START_MS + STEPS * STEP_MS
LE = ("0.1", "0.5", "1", "2.5", "+Inf")


def labels(name: str, **others: str) -> Labels:
    return tuple(sorted({"__name__": name, **others}.items()))


def series() -> list[tuple[Labels, list[tuple[int, float]]]]:
    """Two hours at 15 seconds; no sample lies at a full second, where versions of Prometheus differ."""
    chance = random.Random(6)
    found: list[tuple[Labels, list[tuple[int, float]]]] = []
    for job in ("api", "web"):
        for instance in ("1", "2"):
            where = {"job": job, "instance": instance}
            for code in ("200", "404", "500"):
                one = labels("requests_total", code=code, **where)
                found.append((one, _counter(chance, 1000.0 * (1 + len(found)))))
            found.append((labels("temperature", **where), _gauge(chance)))
            found += _histogram(chance, where)
    found.append((labels("short_total", job="api"), _counter(chance, 5000.0)[100:140]))
    found.append((labels("version_info", job="api", version="3"), _always(1.0)))
    found.append((labels("version_info", job="web", version="4"), _always(1.0)))
    return found


def _times(chance: random.Random) -> list[int]:
    hole = chance.randrange(STEPS // 2)
    kept = [step for step in range(STEPS) if not hole <= step < hole + 30]
    return [START_MS + step * STEP_MS + 7_123 + chance.randrange(200) for step in kept]


def _counter(chance: random.Random, value: float) -> list[tuple[int, float]]:
    found = []
    for at in _times(chance):
        value = 2000.0 if chance.random() < 0.01 else value + chance.randrange(50)
        found.append((at, value))
    return found


def _gauge(chance: random.Random) -> list[tuple[int, float]]:
    odd = {0.98: float("nan"), 0.99: float("inf")}
    found = []
    for at in _times(chance):
        dice = chance.random()
        value = next((odd[bar] for bar in sorted(odd, reverse=True) if dice > bar), None)
        found.append((at, chance.gauss(20, 5) if value is None else value))
    return found


def _histogram(chance: random.Random, where: dict[str, str]):
    times = _times(chance)
    totals = [4000.0] * len(LE)
    rows: list[list[tuple[int, float]]] = [[] for _ in LE]
    for at in times:
        for _ in range(chance.randrange(30)):
            first = min(len(LE) - 1, int(chance.expovariate(0.8)))
            for bucket in range(first, len(LE)):
                totals[bucket] += 1
        for row, total in zip(rows, totals, strict=True):
            row.append((at, total))
    return [
        (labels("latency_bucket", le=bound, **where), row)
        for bound, row in zip(LE, rows, strict=True)
    ]


def _always(value: float) -> list[tuple[int, float]]:
    return [(START_MS + step * STEP_MS + 3_210, value) for step in range(STEPS)]


QUERIES = """
requests_total
requests_total{code=~"4..|500",job!="web"}
requests_total offset 7m
requests_total offset -3m
requests_total @ 1700003000
requests_total @ start()
temperature
-temperature
temperature > 20
temperature > bool 20
20 < temperature
temperature % 7
2 ^ (temperature / 10)
(temperature atan2 3) + 0
rate(requests_total[5m])
rate(requests_total[47s])
increase(requests_total[10m])
increase(requests_total[1h] offset 5m)
irate(requests_total[2m])
delta(temperature[5m])
idelta(temperature[2m])
deriv(temperature[10m])
predict_linear(temperature[10m], 600)
resets(requests_total[1h])
changes(temperature[10m])
avg_over_time(temperature[7m])
min_over_time(temperature[7m])
max_over_time(temperature[7m])
sum_over_time(temperature[7m])
count_over_time(temperature[7m])
stddev_over_time(temperature[7m])
stdvar_over_time(temperature[7m])
quantile_over_time(0.9, temperature[7m])
last_over_time(temperature[7m])
present_over_time(temperature[7m])
absent_over_time(nothing{job="api"}[5m])
absent_over_time(short_total[5m])
sum(rate(requests_total[5m]))
sum by (job) (rate(requests_total[5m]))
sum without (code, instance) (rate(requests_total[5m]))
avg by (job) (temperature)
min by (job) (temperature)
max by (job) (temperature)
count by (job) (temperature)
group by (code) (requests_total)
stddev by (job) (requests_total)
stdvar by (job) (requests_total)
quantile by (job) (0.4, requests_total)
count_values by (job) ("v", version_info)
topk(2, requests_total)
bottomk by (job) (2, requests_total)
sum by (job) (rate(requests_total{code="500"}[5m])) / sum by (job) (rate(requests_total[5m]))
requests_total{code="500"} / ignoring(code) requests_total{code="200"}
requests_total / on(job) group_left(version) version_info
version_info * on(job) group_right(version) requests_total
requests_total and on(instance) temperature > 22
requests_total{job="api"} or requests_total{code="200"}
requests_total unless on(job, instance) temperature > 20
requests_total == requests_total
requests_total != bool 1
histogram_quantile(0.9, rate(latency_bucket[5m]))
histogram_quantile(0.5, sum by (le, job) (rate(latency_bucket[10m])))
histogram_quantile(1.5, latency_bucket)
histogram_quantile(0.99, latency_bucket{le!="+Inf"})
label_replace(requests_total, "to", "$1-x", "job", "(a.*)")
label_join(requests_total, "all", "/", "job", "instance", "none")
abs(temperature - 20)
ceil(temperature)
floor(temperature)
round(temperature, 0.5)
exp(temperature / 10)
ln(temperature)
log2(temperature)
log10(temperature)
sqrt(temperature)
sgn(temperature - 20)
clamp(temperature, 15, 25)
clamp_min(temperature, 20)
clamp_max(temperature, 20)
sin(temperature) + cos(temperature) + tan(temperature)
rad(temperature) + deg(temperature)
timestamp(temperature)
timestamp(temperature offset 3m)
time()
minute() + hour() * 100 + day_of_week() * 10000
day_of_month() + month() * 100 + year() * 10000
day_of_year() + days_in_month()
hour(requests_total)
minute(temperature)
year(1e17 * temperature) + day_of_week(1e17 * temperature) + day_of_year(-1e17 * temperature)
vector(time())
scalar(version_info{job="api"})
absent(requests_total)
absent(nothing{job="x"})
sort(requests_total)
max_over_time(rate(requests_total[5m])[30m:1m])
sum_over_time(temperature[20m:90s] offset 2m)
avg_over_time(sum by (job) (rate(requests_total[2m]))[10m:])
min_over_time(temperature[5m:20s] @ 1700004000)
sum(rate(short_total[5m])) or vector(0)
short_total
pi() * scalar(sum(version_info))
1 / 0
requests_total[2m]
temperature[3m:30s]
(sum(rate(requests_total[5m])) > 0) * 100
""".strip().splitlines()
