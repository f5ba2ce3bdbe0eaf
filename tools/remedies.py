"""The usual remedy and prevention for each kind of finding: the recipe's table of common issues, made concrete."""

from perfcrew.records.work import FindingKind

REMEDY: dict[FindingKind, str] = {
    "n_plus_one": "load what the loop needs in one query: eager loading (joined or select-in), or one grouped query",
    "missing_index": "create the index by a migration; check its cost on writes",
    "slow_query": "read fewer rows: narrow it, aggregate in the database, or rewrite it after its plan",
    "large_payload": "send less: paginate, or leave out fields that the client does not use",
    "no_compression": "compress responses of this type above a size (gzip or better) in the application or the proxy",
    "memory_leak": "find what holds on to each request's data and bound it or let it go",
    "blocking_call": "await an asynchronous equivalent, or move the call to a thread pool or a background worker",
    "cpu_hot_path": "do the work once, with a better algorithm, or not in Python",
    "cache_miss": "keep the result where it can't go stale, with a bound and a rule for dropping it",
    "pool_exhausted": "hold connections for a shorter time, or size the pool to the concurrency",
    "repeated_computation": "ask once and pass the result on within the request",
    "serialisation": "build plain values and serialise them once, with a faster encoder where the format stays equal",
    "bundle_size": "split the bundle and leave out unused code",
    "layout_shift": "reserve the space of what loads later",
    "other": "see the claim",
}
PREVENTION: dict[FindingKind, str] = {
    "n_plus_one": "a test that counts queries a request",
    "missing_index": "explain new queries on data of production size before they ship",
    "slow_query": "log slow queries and review them",
    "large_payload": "review the size of responses with the design of an endpoint",
    "no_compression": "a test that asks with Accept-Encoding and looks at the answer",
    "memory_leak": "watch memory under steady load before each release",
    "blocking_call": "forbid blocking calls in asynchronous code by review or linter",
    "cpu_hot_path": "profile under load before each release",
    "cache_miss": "decide with each expensive result whether, where and how long it is kept",
    "pool_exhausted": "watch the pool's waiting time",
    "repeated_computation": "a test that counts queries a request",
    "serialisation": "profile large responses",
    "bundle_size": "a size budget in the build",
    "layout_shift": "measure layout shift in tests",
    "other": "watch the metric",
}
