"""How long requests wait for a database connection: SQLAlchemy's pools, psycopg_pool, and Django's own connections.

Waiting for a connection that others hold and opening a new one are told apart: the first is a pool that is too small
or connections held too long, the second a pool that keeps none.
"""

from __future__ import annotations

import contextvars
import functools
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .record import current, guarded, write_line


class _Checkout:
    """One connection being taken; pools that call each other share it."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.opening = 0.0
        self.noted = False


_open: contextvars.ContextVar[_Checkout | None] = contextvars.ContextVar("perfcrew_checkout", default=None)


def _note(checkout: _Checkout, pool: str, held: int | None, size: int | None, most: int | None) -> None:
    request = current.get()
    if request is None or checkout.noted:
        return
    checkout.noted = True
    spent = time.perf_counter() - checkout.started
    write_line({
        "kind": "checkout", "pool": pool, "number": request.number, "at": time.time(), "held": held, "size": size,
        "most": most, "wait_ms": round(max(0.0, spent - checkout.opening) * 1000, 3),
        "open_ms": round(checkout.opening * 1000, 3),
    })  # fmt: skip


def _take(pool: Any, get: Callable[..., Any], tell: Callable[[Any], tuple[Any, ...]], arguments: Any) -> Any:
    if _open.get() is not None:
        return get(pool, *arguments)
    checkout = _Checkout()
    token = _open.set(checkout)
    try:
        return get(pool, *arguments)
    finally:
        _open.reset(token)
        guarded(lambda: _note(checkout, *tell(pool)))


def _opened(create: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(create)
    def creating(*arguments: Any, **named: Any) -> Any:
        checkout, started = _open.get(), time.perf_counter()
        try:
            return create(*arguments, **named)
        finally:
            if checkout is not None:
                checkout.opening += time.perf_counter() - started

    return creating


def _tell_queue(pool: Any) -> tuple[Any, ...]:
    most = pool.size() + pool._max_overflow if pool._max_overflow >= 0 else None
    return "SQLAlchemy " + type(pool).__name__, pool.checkedout(), pool.size(), most


def _hook_sqlalchemy(module: ModuleType) -> None:
    pools: list[tuple[Any, Callable[[Any], tuple[Any, ...]]]] = [
        (module.QueuePool, _tell_queue),
        (module.NullPool, lambda _: ("SQLAlchemy NullPool", None, None, None)),
    ]
    for pool_class, tell in pools:
        pool_class._do_get = _taking(pool_class._do_get, tell)
    base = module.QueuePool.__mro__[1]
    base._create_connection = _opened(base._create_connection)


def _taking(get: Callable[..., Any], tell: Callable[[Any], tuple[Any, ...]]) -> Callable[..., Any]:
    @functools.wraps(get)
    def taking(self: Any, *arguments: Any) -> Any:
        return _take(self, get, tell, arguments)

    return taking


def _tell_psycopg(pool: Any) -> tuple[Any, ...]:
    return "psycopg_pool", pool._nconns - len(pool._pool), pool._min_size, pool._max_size


def _hook_psycopg_pool(module: ModuleType) -> None:
    get = module.ConnectionPool.getconn

    @functools.wraps(get)
    def taking(self: Any, *arguments: Any, **named: Any) -> Any:
        return _take(self, lambda pool, *given: get(pool, *given, **named), _tell_psycopg, arguments)

    module.ConnectionPool.getconn = taking
    if not hasattr(module, "AsyncConnectionPool"):
        return
    get_async = module.AsyncConnectionPool.getconn

    @functools.wraps(get_async)
    async def taking_async(self: Any, *arguments: Any, **named: Any) -> Any:
        checkout = _Checkout()
        try:
            return await get_async(self, *arguments, **named)
        finally:
            guarded(lambda: _note(checkout, *_tell_psycopg(self)))

    module.AsyncConnectionPool.getconn = taking_async


def _hook_django(module: ModuleType) -> None:
    connect = module.BaseDatabaseWrapper.connect

    @functools.wraps(connect)
    def connecting(self: Any) -> Any:
        checkout = _Checkout()
        try:
            return connect(self)
        finally:
            # Django with a pool of psycopg's asks that, and its own note came first.
            if not getattr(self, "pool", None):
                checkout.opening = time.perf_counter() - checkout.started
                guarded(_note, checkout, "Django, a connection of its own", None, None, None)

    module.BaseDatabaseWrapper.connect = connecting


HOOKS: dict[str, Callable[[ModuleType], None]] = {
    "sqlalchemy.pool.impl": _hook_sqlalchemy,
    "psycopg_pool": _hook_psycopg_pool,
    "django.db.backends.base.base": _hook_django,
}
