"""What of PromQL is answered: the list that docs/promql.md publishes."""

from __future__ import annotations

OPERATORS = (
    "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless",
)  # fmt: skip
AGGREGATIONS = (
    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "count_values",
    "topk", "bottomk", "limitk",
)  # fmt: skip
OVER_RANGES = (
    "rate", "increase", "delta", "irate", "idelta", "deriv", "predict_linear", "resets", "changes",
    "avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time",
    "quantile_over_time", "stddev_over_time", "stdvar_over_time", "mad_over_time",
    "first_over_time", "last_over_time", "present_over_time", "absent_over_time",
    "ts_of_first_over_time", "ts_of_last_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
    "double_exponential_smoothing",
)  # fmt: skip
OF_NUMBERS = (
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "round", "clamp",
    "clamp_min", "clamp_max", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh", "deg", "rad", "pi",
)  # fmt: skip
OF_DATES = (
    "time", "timestamp", "minute", "hour", "day_of_month", "day_of_week", "day_of_year",
    "days_in_month", "month", "year",
)  # fmt: skip
OF_VECTORS = (
    "absent", "scalar", "vector", "label_replace", "label_join", "sort", "sort_desc",
    "sort_by_label", "sort_by_label_desc", "histogram_quantile", "histogram_fraction",
)  # fmt: skip
FUNCTIONS = (*OVER_RANGES, *OF_NUMBERS, *OF_DATES, *OF_VECTORS)
