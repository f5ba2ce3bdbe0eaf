"""Where requests begin and end: ASGI (Starlette, FastAPI, whatever uvicorn serves), WSGI (Flask), Django."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from . import loop
from .record import RequestTrace, current, guarded


def _template(scope: Any, outer_root: str) -> str | None:
    """The route template of an ASGI scope, mounts included."""
    path = getattr(scope.get("route"), "path", None)
    if not isinstance(path, str):
        return None
    root = scope.get("root_path", "") or ""
    return (root[len(outer_root) :] if root.startswith(outer_root) else "") + path


def _begin_asgi(scope: Any) -> RequestTrace:
    query = scope.get("query_string", b"") or b""
    guarded(loop.watch)
    return RequestTrace(scope.get("method", "GET"), scope.get("path", "/"), query.decode("latin-1"))


def _note_message(trace: RequestTrace, message: Any) -> None:
    kind = message.get("type")
    if kind == "http.response.start":
        trace.status = int(message.get("status", 200))
    elif kind == "http.response.body":
        trace.bytes += len(message.get("body", b"") or b"")
        if not message.get("more_body", False):
            trace.end()


async def _serve(call: Callable[..., Any], scope: Any, receive: Any, send: Any) -> Any:
    outer = current.get()
    outer_root = scope.get("root_path", "") or ""
    if outer is not None and not outer.written:
        try:
            return await call(scope, receive, send)
        finally:
            outer.route = outer.route or guarded(_template, scope, outer_root)
    trace = guarded(_begin_asgi, scope)
    if trace is None:
        return await call(scope, receive, send)

    async def noting(message: Any) -> None:
        await send(message)
        guarded(_note_message, trace, message)

    token = current.set(trace)
    try:
        return await call(scope, receive, noting)
    finally:
        current.reset(token)
        trace.route = guarded(_template, scope, outer_root) or trace.route
        guarded(trace.write)


def _hook_starlette(module: ModuleType) -> None:
    call = module.Starlette.__call__

    @functools.wraps(call)
    async def traced(self: Any, scope: Any, receive: Any, send: Any) -> Any:
        bound = functools.partial(call, self)
        if scope.get("type") != "http":
            return await bound(scope, receive, send)
        return await _serve(bound, scope, receive, send)

    module.Starlette.__call__ = traced


def _hook_uvicorn(module: ModuleType) -> None:
    load = module.Config.load

    @functools.wraps(load)
    def loading(self: Any, *arguments: Any, **named: Any) -> Any:
        result = load(self, *arguments, **named)
        if getattr(self, "interface", "") != "wsgi":
            application = self.loaded_app

            async def traced(scope: Any, receive: Any, send: Any) -> Any:
                if scope.get("type") != "http":
                    return await application(scope, receive, send)
                return await _serve(application, scope, receive, send)

            self.loaded_app = traced
        return result

    module.Config.load = loading


class _Body:
    """A WSGI body that ends its request's trace when it is closed."""

    def __init__(self, body: Any, trace: RequestTrace, token: Any) -> None:
        self._body, self._parts, self._trace, self._token = body, iter(body), trace, token

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            part: bytes = next(self._parts)
        except StopIteration:
            # Not every server closes what it has read to the end.
            _leave(self._trace, self._token)
            raise
        self._trace.bytes += len(part)
        return part

    def close(self) -> None:
        self._trace.end()
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            _leave(self._trace, self._token)


def _leave(trace: RequestTrace, token: Any) -> None:
    guarded(current.reset, token)
    guarded(trace.write)


def _begin_wsgi(environ: Any) -> RequestTrace:
    # PATH_INFO holds the decoded bytes of the path as latin-1: see PEP 3333.
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")) or "/"
    trace = RequestTrace(
        environ.get("REQUEST_METHOD", "GET"), path.encode("latin-1").decode("utf-8", "replace"),
        environ.get("QUERY_STRING", ""),
    )  # fmt: skip
    environ["perfcrew.trace"] = trace
    return trace


def _hook_flask(module: ModuleType) -> None:
    call = module.Flask.__call__
    preprocess = module.Flask.preprocess_request

    @functools.wraps(preprocess)
    def preprocessing(self: Any, *arguments: Any, **named: Any) -> Any:
        guarded(_note_rule)
        return preprocess(self, *arguments, **named)

    @functools.wraps(call)
    def traced(self: Any, environ: Any, start_response: Any) -> Any:
        trace = None if "perfcrew.trace" in environ else guarded(_begin_wsgi, environ)
        if trace is None:
            return call(self, environ, start_response)

        def starting(status: str, *rest: Any, **named: Any) -> Any:
            trace.status = guarded(int, status.split(" ", 1)[0]) or 500
            return start_response(status, *rest, **named)

        token = current.set(trace)
        try:
            body = call(self, environ, starting)
        except BaseException:
            _leave(trace, token)
            raise
        return _Body(body, trace, token)

    module.Flask.preprocess_request = preprocessing
    module.Flask.__call__ = traced


def _note_rule() -> None:
    trace = current.get()
    rule = sys.modules["flask"].request.url_rule
    if trace is not None and rule is not None:
        trace.route = rule.rule


def _begin_django(request: Any) -> RequestTrace:
    return RequestTrace(request.method, request.path, request.META.get("QUERY_STRING", ""))


def _end_django(trace: RequestTrace, request: Any, response: Any) -> None:
    trace.status = getattr(response, "status_code", 500)
    if not getattr(response, "streaming", False):
        trace.bytes = len(getattr(response, "content", b""))
    match = getattr(request, "resolver_match", None)
    if match is not None:
        trace.route = "/" + match.route
    trace.write()


def _hook_django(module: ModuleType) -> None:
    get, get_async = module.BaseHandler.get_response, module.BaseHandler.get_response_async

    @functools.wraps(get)
    def getting(self: Any, request: Any) -> Any:
        trace = guarded(_begin_django, request)
        token, response = current.set(trace), None
        try:
            response = get(self, request)
            return response
        finally:
            current.reset(token)
            guarded(_end_django, trace, request, response)

    @functools.wraps(get_async)
    async def getting_async(self: Any, request: Any) -> Any:
        trace = guarded(_begin_django, request)
        token, response = current.set(trace), None
        try:
            response = await get_async(self, request)
            return response
        finally:
            current.reset(token)
            guarded(_end_django, trace, request, response)

    module.BaseHandler.get_response = getting
    module.BaseHandler.get_response_async = getting_async


def _carry(trace: RequestTrace, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    token = current.set(trace)
    try:
        return function(*arguments, **named)
    finally:
        current.reset(token)


def _hook_threads(module: ModuleType) -> None:
    # A thread pool's threads have contexts of their own: the request goes along with the call.
    submit = module.ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def submitting(self: Any, function: Any, /, *arguments: Any, **named: Any) -> Any:
        trace = current.get()
        if trace is None:
            return submit(self, function, *arguments, **named)
        return submit(self, functools.partial(_carry, trace, function), *arguments, **named)

    module.ThreadPoolExecutor.submit = submitting


HOOKS: dict[str, Callable[[ModuleType], None]] = {
    "starlette.applications": _hook_starlette,
    "uvicorn.config": _hook_uvicorn,
    "flask.app": _hook_flask,
    "django.core.handlers.base": _hook_django,
    "concurrent.futures.thread": _hook_threads,
}
