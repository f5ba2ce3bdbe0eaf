"""What a patch's text tells in any language: secrets, dependencies, dangerous calls of Node, compression of secrets."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

from tools.paths import matches
from tools.weakness import Severity, Weakness

DEPENDENCIES = (
    "**/requirements*.txt", "**/requirements*.in", "**/pyproject.toml", "**/setup.cfg", "**/setup.py", "**/Pipfile",
    "**/package.json", "**/constraints*.txt",
)  # fmt: skip
_LISTED = re.compile(r"""^\s*["']?([A-Za-z@][\w.@/-]*)["']?\s*(?:\[[^\]]*\])?\s*(?:[<>=!~^:;@ ].*)?,?\s*$""")
_UNAUDITED = re.compile(r"git\+|https?://|--(?:extra-)?index-url|--find-links|\bfile:|(?:pre|post)?install\"\s*:")
_SECRETS: dict[str, Any] = {
    # Without the two that judge by entropy alone: ids of migrations and hashes of files look like keys to them.
    "plugins_used": [
        {"name": name}
        for name in (
            "AWSKeyDetector", "ArtifactoryDetector", "AzureStorageKeyDetector", "BasicAuthDetector",
            "CloudantDetector", "DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector",
            "JwtTokenDetector", "KeywordDetector", "MailchimpDetector", "NpmDetector", "OpenAIDetector",
            "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector", "SquareOAuthDetector",
            "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
        )
    ],
    # Neither the filter that asks the service whether a key is valid, nor the one that heeds an allowing comment.
    "filters_used": [
        {"path": f"detect_secrets.filters.heuristic.{name}"}
        for name in ("is_indirect_reference", "is_templated_secret", "is_potential_uuid", "is_sequential_string")
    ],
}  # fmt: skip
_NODE: tuple[tuple[str, Severity, re.Pattern[str], str], ...] = (
    ("node-eval", "high", re.compile(r"(?<![\w.])eval\(|\bnew Function\("), "code made from text"),
    (
        "node-exec", "high", re.compile(r"\bexec(?:Sync)?\(\s*(?:`[^`]*\$\{|['\"][^'\"]*['\"]\s*\+)"),
        "a shell command made from text",
    ),
    (
        "node-html", "medium", re.compile(r"dangerouslySetInnerHTML|\.innerHTML\s*=(?!=)\s*(?!['\"])"),
        "HTML set from text",
    ),
    ("node-tls", "high", re.compile(r"rejectUnauthorized\s*:\s*false"), "certificates are not checked"),
    ("node-random", "low", re.compile(r"Math\.random\(\)\.toString"), "an id that can be guessed"),
)  # fmt: skip
COMPRESSES = re.compile(
    r"GZipMiddleware|GZipASGI|BrotliMiddleware|CompressionMiddleware|flask_compress|\bCompress\(|"
    r"\b(?:gzip|zlib|brotli|zstandard|zstd)\.compress\(|require\(['\"]compression['\"]\)|from ['\"]compression['\"]|"
    r"@fastify/compress|zlib\.(?:gzip|deflate|brotliCompress)|\b(?:createGzip|createBrotliCompress)\("
)
CARRIED = (
    r"""["'](csrf|xsrf)_?[tT]oken["'] *[:=\]]|["'](access|refresh|session|api)_?([tT]oken|[kK]ey)["'] *[:=]|"""
    r"""csrf_token\(\)|name=["'](csrf|xsrf|authenticity)_?[tT]oken|csrfToken"""
)
"""What a response with a secret in it looks like in its source. Django's own tag is masked anew for each response."""


def find_secrets(root: Path, paths: list[str]) -> Iterator[Weakness]:
    """Keys and passwords in files, by detect-secrets. The found one itself goes nowhere."""
    with transient_settings(_SECRETS):
        for path in paths:
            found = SecretsCollection(root=str(root))
            found.scan_file(path)
            for _, secret in found:
                claim = f"a secret in the source ({secret.type})"
                yield Weakness("secret", path, secret.line_number or 1, claim, "high", secret.secret_hash)


def find_dependencies(path: str, text: str) -> Iterator[Weakness]:
    """What a file of dependencies asks for. What is known against it no offline tool can tell."""
    if not matches(path, DEPENDENCIES):
        return
    for number, line in enumerate(text.splitlines(), 1):
        code = line.strip().rstrip(",")
        if _UNAUDITED.search(code):
            yield Weakness("dependency", path, number, f"installs from outside the index: {code[:80]}", "medium", code)
        elif (found := _LISTED.match(code)) and re.search(r"[\d*]|latest|workspace", code.partition(found[1])[2]):
            yield Weakness("dependency", path, number, f"a dependency: {code[:80]}", "low", code)


def find_imports(path: str, tree: ast.Module) -> Iterator[Weakness]:
    """Packages that a file imports, without the standard library."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names:
            yield Weakness("import", path, getattr(node, "lineno", 1), f"imports {name}", "low", name)


def find_node_calls(path: str, text: str) -> Iterator[Weakness]:
    """Dangerous calls in JavaScript and TypeScript, line by line."""
    for number, line in enumerate(text.splitlines(), 1):
        for rule, severity, pattern, claim in _NODE:
            if pattern.search(line):
                yield Weakness(rule, path, number, claim, severity, line.strip())


def find_compression(path: str, text: str) -> Iterator[Weakness]:
    """Lines that compress, each to be judged by what the application's responses carry."""
    for number, line in enumerate(text.splitlines(), 1):
        if COMPRESSES.search(line) and not line.lstrip().startswith(("#", "//", "*")):
            yield Weakness("compression", path, number, "compresses", "low", line.strip())


def read_tool(output: str, kind: str) -> list[dict[str, Any]]:
    """The findings of bandit (`results`) or ruff (a list), as they print them; none where that is no JSON."""
    try:
        read = json.loads(output)
    except ValueError:
        return []
    rows = read.get(kind, []) if isinstance(read, dict) else read
    return rows if isinstance(rows, list) else []
