"""Collapsed stacks reduced to shares."""

import pytest

from tools.profile_digest import hot_rows, line_rows, native_rows, render_profile
from tools.stacks import Profile, parse_stacks, sum_stacks

ROOT = "/srv/app"
LIB = "/opt/env/lib/python3.11"
LOOP = f"<module> (main.py:1);run ({LIB}/asyncio/runners.py:5);_run_once ({LIB}/asyncio/base_events.py:9);"
THREAD = f"_bootstrap ({LIB}/threading.py:9);_worker ({LIB}/concurrent/futures/thread.py:3);"


def summed(*lines: str) -> Profile:
    return sum_stacks(parse_stacks("\n".join(lines), ROOT))


def test_reads_frames_and_shortens_paths() -> None:
    text = f"process 7:'python -m x';main ({ROOT}/app/a.py:3);execute ({LIB}/site-packages/sqlalchemy/base.py:8);"
    text += f"loads ({LIB}/json/__init__.py:1) 12"
    ((frames, count),) = parse_stacks(text + "\nrubbish\n", ROOT)
    assert count == 12
    assert [(frame.path, frame.own) for frame in frames] == [
        ("app/a.py", True), ("sqlalchemy/base.py", False), ("json/__init__.py", False),
    ]  # fmt: skip


@pytest.mark.parametrize("inside", [f"{ROOT}/.venv/lib/python3.11/site-packages/x.py", f"{ROOT}x/a.py"])
def test_what_is_not_the_targets(inside: str) -> None:
    ((frames, _),) = parse_stacks(f"f ({inside}:1) 1", ROOT)
    assert not frames[0].own


def test_comprehensions_count_as_their_function() -> None:
    profile = summed(
        f"build ({ROOT}/a.py:1);build.<locals>.<listcomp> ({ROOT}/a.py:2) 5",
        f"build ({ROOT}/a.py:1);<genexpr> ({ROOT}/a.py:3) 4",
        f"build ({ROOT}/a.py:1);build.<locals>.<dictcomp>.<genexpr> ({ROOT}/a.py:2) 1",
    )
    assert {place: (hot.samples, hot.inner, hot.place) for place, hot in profile.own.items()} == {
        "a.py build": (10, 10, "a.py:2 build")
    }


def test_innermost_own_work_is_told_from_database_libraries() -> None:
    profile = summed(
        f"{LOOP}view ({ROOT}/v.py:1);count ({ROOT}/m.py:7) 30",
        f"{LOOP}view ({ROOT}/v.py:2);execute ({LIB}/site-packages/sqlalchemy/base.py:8) 60",
        f"{LOOP}app ({LIB}/site-packages/starlette/x.py:8) 10",
    )
    view, count = profile.own["v.py view"], profile.own["m.py count"]
    assert (view.samples, view.inner, view.database) == (90, 0, 60)
    assert (count.samples, count.inner, count.place) == (30, 30, "m.py:7 count")
    assert (profile.total, profile.without_own) == (100, 10)
    assert profile.packages == {"target": 30, "sqlalchemy": 60, "starlette": 10}
    assert profile.loop == {"m.py count": 30}
    assert (profile.loop_database, profile.loop_total) == (60, 100)


def test_idle_threads_do_not_count_and_waiting_requests_do() -> None:
    profile = summed(
        f"{LOOP}select ({LIB}/selectors.py:1) 500",
        f"{THREAD}get ({LIB}/queue.py:1);wait ({LIB}/threading.py:1) 400",
        f"_bootstrap ({LIB}/threading.py:9);run ({LIB}/site-packages/anyio/_backends/_asyncio.py:9);"
        f"get ({LIB}/queue.py:1) 300",
        f"{THREAD}view ({ROOT}/v.py:1);sleep ({ROOT}/v.py:4) 20",
        f"{THREAD}view ({ROOT}/v.py:1);_do_get ({LIB}/site-packages/sqlalchemy/pool/impl.py:9);get ({LIB}/queue.py:1);"
        f"wait ({LIB}/threading.py:1) 30",
    )
    assert (profile.total, profile.pool_wait, profile.loop_total) == (50, 30, 500)
    assert profile.own["v.py sleep"].inner == 20


def test_qualified_names_are_known_as_well() -> None:
    profile = summed(
        f"{LOOP}EpollSelector.select ({LIB}/selectors.py:1) 500",
        f"Thread._bootstrap ({LIB}/threading.py:9);"
        f"WorkerThread.run ({LIB}/site-packages/anyio/_backends/_asyncio.py:9);"
        f"Queue.get ({LIB}/queue.py:1);Condition.wait ({LIB}/threading.py:1) 400",
        f"{LOOP}make_app.<locals>.view ({ROOT}/v.py:1);Model.model_dump ({LIB}/site-packages/pydantic/main.py:1) 7",
    )
    assert (profile.total, profile.loop_total) == (7, 507)
    assert profile.serialising == {"v.py view": 7}


def test_an_own_main_module_below_the_loop_is_no_request() -> None:
    assert summed(f"serve ({ROOT}/main.py:9);{LOOP}select ({LIB}/selectors.py:1) 99").total == 0


def test_serialising_is_charged_to_who_asked_for_it() -> None:
    profile = summed(
        f"{LOOP}view ({ROOT}/v.py:1);dumps ({LIB}/json/__init__.py:1);iterencode ({LIB}/json/encoder.py:1) 40",
        f"{LOOP}serialize_response ({LIB}/site-packages/fastapi/routing.py:9) 60",
    )
    assert profile.serialising == {"v.py view": 40, "fastapi/routing.py serialize_response": 60}


def test_rows_and_digest() -> None:
    gil = summed(f"{LOOP}view ({ROOT}/v.py:1);work ({ROOT}/w.py:2) 75", f"{LOOP}view ({ROOT}/v.py:1) 25")
    wall = summed(
        f"{LOOP}view ({ROOT}/v.py:1);work ({ROOT}/w.py:2) 50", f"{LOOP}nap ({ROOT}/n.py:3) 40",
        f"{LOOP}select ({LIB}/selectors.py:1) 10",
    )  # fmt: skip
    rows = {str(row["name"]): row for row in hot_rows(gil, wall, 0.5, 20.0)}
    assert (rows["work"]["cpu_share"], rows["work"]["time_share"], rows["work"]["ms"]) == (0.75, 0.375, 15.0)
    assert (rows["nap"]["cpu_share"], rows["nap"]["loop_share"], rows["nap"]["loop_cpu_share"]) == (0.0, 0.4, 0.0)
    raw = {"workload": "shop", "arm": "base", "rate": 100, "runtime": "python",
           "overhead": {"rps_loss": 0.04, "cpu_added": 0.021}}  # fmt: skip
    digest = render_profile(raw, gil, wall, 0.5, 20.0)
    assert "+4% of requests a second lost, +2% CPU a request" in digest
    assert "75% (75%, 0%)  w.py:2 work" in digest
    assert "database libraries 0%; w.py work 50%; n.py nap 40%" in digest
    assert len(digest) < 7000


def test_stacks_are_credited_to_the_route_whose_handler_is_on_them() -> None:
    handlers = {"v.py": [(1, 5, "GET /a"), (8, 9, "GET /b")]}
    lines = (
        f"{LOOP}view ({ROOT}/v.py:2);work ({ROOT}/w.py:2) 60",
        f"{LOOP}other ({ROOT}/v.py:9);view ({ROOT}/v.py:3) 30",
        f"{LOOP}neither ({ROOT}/v.py:7) 10",
    )
    profile = sum_stacks(parse_stacks("\n".join(lines), ROOT), handlers)
    assert profile.endpoints == {"GET /a": 60, "GET /b": 30}


def test_lines_have_their_own_and_their_whole_share() -> None:
    gil = summed(
        f"{LOOP}view ({ROOT}/v.py:2);work ({ROOT}/w.py:7);work ({ROOT}/w.py:7) 60",
        f"{LOOP}view ({ROOT}/v.py:2);dump ({LIB}/json/__init__.py:1) 40",
    )
    assert [(row["path"], row["line"], row["own"], row["total"]) for row in line_rows(gil)] == [
        ("w.py", 7, 0.6, 0.6), ("v.py", 2, 0.4, 1.0),
    ]  # fmt: skip


def test_native_frames_are_named_with_whom_they_work_for() -> None:
    text = (
        f"view ({ROOT}/v.py:2);sqlite3_step (/usr/lib/libsqlite3.so.0.8.6) 30\n"
        f"view ({ROOT}/v.py:2) 60\nstart_thread (libc.so.6) 10"
    )
    assert native_rows(text, ROOT) == [
        {"name": "sqlite3_step (libsqlite3.so.0.8.6)", "caller": "v.py:2 view", "share": 0.3},
        {"name": "start_thread (libc.so.6)", "caller": "", "share": 0.1},
    ]
    assert native_rows("", ROOT) == []
