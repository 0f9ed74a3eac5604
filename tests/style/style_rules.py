"""The style rules: each takes a Tree and yields Findings. docs/style.md says why they are there."""

import dataclasses
import pathlib
import re

import cpp_text

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
HEADER_COMMENT_LINES = range(3, 21)
LAUNCHER_LINES_MAX = 7_100
LAUNCHER_MAIN = "apps/jail/"
# A source of these that has no header of its own cannot be found by includes: it is counted.
LAUNCHER_FOLDERS = ("apps/jail/", "src/jail/", "src/sys/")

CPP = (".cc", ".h")
C_LIKE = (".cc", ".h", ".c")
CODE = C_LIKE + (".py", ".sh", ".cmake")
SKIPPED_FOLDERS = {"build", ".git", "__pycache__", "node_modules"}
FOLDERS = ("src", "apps", "tests", "bench", "cmake", "examples", "tools")
THIRD_PARTY = ("boost/", "yaml-cpp/", "CLI/", "seccomp.h", "openssl/", "sodium", "sqlite3", "curl/",
               "zlib.h", "ares.h")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message}"


class Tree:
    """The files of a checkout, each read once."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self._texts = {}
        self.paths = sorted(self._find())

    def _find(self):
        for folder in FOLDERS:
            for path in (self.root / folder).rglob("*"):
                relative = path.relative_to(self.root)
                if path.is_file() and not SKIPPED_FOLDERS.intersection(relative.parts):
                    yield relative.as_posix()

    def text(self, path):
        if path not in self._texts:
            self._texts[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._texts[path]

    def lines(self, path):
        return self.text(path).splitlines()

    def code_line_count(self, path):
        """Lines that hold more than a comment."""
        return sum(bool(line.strip())
                   for line in cpp_text.without_noise(self.text(path)).splitlines())

    def having(self, suffixes):
        return [path for path in self.paths
                if path.endswith(suffixes) or ("CMakeLists.txt" in path and ".cmake" in suffixes)]

    def data(self, name):
        """The lines of a table beside this file, without comments."""
        path = self.root / "tests/style" / name
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return [line for line in lines if line.strip() and not line.startswith("#")]


def is_test(path):
    return path.endswith(("_test.cc", "_fuzz.cc")) or path.startswith(("tests/", "bench/"))


def matches(tree, suffixes, pattern, message, applies=lambda path: True):
    """A finding wherever the pattern stands outside of comments and literals."""
    for path in tree.having(suffixes):
        if not applies(path):
            continue
        code = cpp_text.without_noise(tree.text(path))
        for match in re.finditer(pattern, code):
            yield Finding(path, code.count("\n", 0, match.start()) + 1, message)


# --- who includes whom ----------------------------------------------------------------------------
def read_layers(tree):
    layers = {}
    for line in tree.data("layers.txt"):
        folder, _, allowed = line.partition(":")
        layers[folder.strip()] = allowed.split()
    return layers


def layer_of(path):
    parts = pathlib.PurePosixPath(path).parent.parts
    return "/".join(parts[1:] if parts[0] == "src" else parts)


def is_allowed(included, allowed):
    folder, stem = included.rpartition("/")[0], included.removesuffix(".h")
    return any(token in (folder, stem) for token in allowed)


def check_include(tree, path, layer, allowed, kind, included):
    if kind == "<":
        if not included.startswith(THIRD_PARTY):
            return None
        tokens = [token[1:] for token in allowed if token.startswith("<")]
        is_named = any(included.startswith(token) for token in tokens)
        return None if is_named else f"<{included}> is not for {layer}"
    in_apps = included.startswith("apps/")
    if not (tree.root / ("" if in_apps else "src") / included).is_file():
        return f'"{included}" is not a path below src/'
    if layer_of(included if in_apps else "src/" + included) == layer:
        return None
    return None if is_allowed(included, allowed) else f'{layer} may not include "{included}"'


def rule_includes(tree):
    layers = read_layers(tree)
    for path in tree.having(C_LIKE):
        if not path.startswith(("src/", "apps/")):
            continue
        layer = layer_of(path)
        if layer not in layers:
            yield Finding(path, 1, f"the folder {layer} is not in tests/style/layers.txt")
            continue
        text = tree.text(path)
        for match in INCLUDE.finditer(text):
            problem = check_include(tree, path, layer, layers[layer], *match.groups())
            if problem:
                yield Finding(path, text.count("\n", 0, match.start()) + 1, problem)


# --- sizes ----------------------------------------------------------------------------------------
def rule_file_length(tree):
    exceptions = {}
    for line in tree.data("size_exceptions.txt"):
        path, lines = line.split()
        exceptions[path] = int(lines)
        if path not in tree.paths:
            yield Finding(path, 1, "is in size_exceptions.txt and does not exist")
    for path in tree.having(CODE):
        length, allowed = len(tree.lines(path)), exceptions.get(path, FILE_LINES_MAX)
        if length > allowed:
            yield Finding(path, allowed, f"has {length} lines, at most {allowed}")
        elif path in exceptions and length < allowed:
            yield Finding(path, 1, f"shrank to {length} lines: say so in size_exceptions.txt")


def rule_function_length(tree):
    for path in tree.having(C_LIKE):
        for first, last in cpp_text.functions(tree.text(path)):
            length = last - first + 1
            if length > FUNCTION_LINES_MAX:
                yield Finding(path, first,
                              f"a function of {length} lines, at most {FUNCTION_LINES_MAX}")


def rule_columns(tree):
    for path in tree.having(CODE):
        for number, line in enumerate(tree.lines(path), 1):
            if len(line) > COLUMNS_MAX:
                yield Finding(path, number, f"{len(line)} columns, at most {COLUMNS_MAX}")


def launcher_files(tree):
    """Files of ours that are linked into the launcher: what its includes lead to, and their .cc."""
    paths = set(tree.paths)
    pending = [path for path in tree.having((".cc", ".c"))
               if path.startswith(LAUNCHER_FOLDERS) and not is_test(path)
               and path.rpartition(".")[0] + ".h" not in paths]
    found = set()
    while pending:
        path = pending.pop()
        if path in found or path not in paths:
            continue
        found.add(path)
        if path.endswith(".h"):
            pending.append(path.removesuffix(".h") + ".cc")
        for kind, included in INCLUDE.findall(tree.text(path)):
            if kind == '"':
                pending.append(included if included.startswith("apps/") else "src/" + included)
    return sorted(found)


def rule_launcher_budget(tree):
    total = sum(tree.code_line_count(path) for path in launcher_files(tree))
    if total >= LAUNCHER_LINES_MAX:
        yield Finding(LAUNCHER_MAIN, 1, f"the launcher has {total} lines of code with all of "
                      f"ours that is linked into it; it must stay under {LAUNCHER_LINES_MAX}")


# --- bans -----------------------------------------------------------------------------------------
def rule_using_namespace(tree):
    return matches(tree, CPP, r"\busing\s+namespace\b", "using namespace hides origins")


def rule_streams(tree):
    return matches(tree, CPP, r"\bstd::(cout|cerr|clog)\b", "only a program prints: return text",
                   lambda path: not path.startswith("apps/"))


def rule_raw_ownership(tree):
    pattern = r"\bnew\s+[A-Za-z_:(]|(?<![=])(?<!=\s)\bdelete\b(?=\s*(\[\s*\]\s*)?[A-Za-z_(*])"
    return matches(tree, CPP, pattern, "an owner type does this: make_unique, vector, UniqueFd")


def rule_unfinished(tree):
    words = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
    for path in tree.having(CODE):
        for number, line in enumerate(tree.lines(path), 1):
            if words.search(line):
                yield Finding(path, number, "finish it, or file an issue: no marks in code")


def rule_null(tree):
    return matches(tree, CPP, r"\bNULL\b", "nullptr")


def rule_throw(tree):
    return matches(tree, CPP, r"\bthrow\b", "errors are Results; nothing is thrown by us")


# --- headers and names ----------------------------------------------------------------------------
def rule_headers(tree):
    for path in tree.having((".h",)):
        lines = tree.lines(path)
        comment = next((i for i, line in enumerate(lines) if not line.startswith("//")), len(lines))
        if comment not in HEADER_COMMENT_LINES and not is_test(path):
            yield Finding(path, 1, f"opens with {comment} lines of comment; 3 to 10 (20 for a "
                          "protocol) say what it is for, guarantees and does not do")
        if "#pragma once" not in lines:
            yield Finding(path, 1, "has no #pragma once")


def rule_file_names(tree):
    for path in tree.having(C_LIKE):
        if not re.fullmatch(r"[a-z0-9_]+\.(cc|h|c)", pathlib.PurePosixPath(path).name):
            yield Finding(path, 1, "file names are snake_case")


RULES = {name.removeprefix("rule_"): rule for name, rule in sorted(globals().items())
         if name.startswith("rule_")}
