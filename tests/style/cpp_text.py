"""What the style rules know of C and C++: text without comments, and where functions are."""

import re

# In this order: a string may contain //, a comment may contain a quote.
_NOISE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)\""""
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""",
    re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.MULTILINE)
_SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
_ACCESS = re.compile(r"\s*(?:(?:public|private|protected)\s*:\s*)?")
_ASSIGNMENT = re.compile(r"(?<![=!<>+\-*/%&|^])=(?!=)")


def _blank(match):
    """Keeps the lines where they are; a literal becomes an empty one, so that code stays code."""
    text = match.group(0)
    blank = re.sub(r"[^\n]", " ", text)
    return '""' + blank[2:] if text[0] in "\"R" and len(text) >= 2 else blank


def without_noise(text):
    """The text with comments and literals blanked; digit separators are no literals."""
    text = re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", "0", text)
    return _NOISE.sub(_blank, text)


def _without_parentheses(text):
    depth, kept = 0, []
    for char in text:
        depth += char == "("
        if depth == 0:
            kept.append(char)
        depth -= char == ")"
    return "".join(kept)


def _kind_of_block(header):
    """What a brace outside of any function opens: a scope, a function or data."""
    outside = _without_parentheses(re.sub(r"\boperator\s*\S+?(?=\()", "operator_", header))
    if _ASSIGNMENT.search(outside) and "[" not in outside:
        return "data"
    if "(" not in header and _SCOPE.search(header):
        return "scope"
    if re.search(r"\bextern\s*\"", header):
        return "scope"
    # The body of a constructor follows the braces of its initialisers: "" or ", member_".
    is_continued = header == "" or header[0] in ",:"
    return "function" if "(" in header or is_continued else "data"


def functions(text):
    """(first line, last line) of each function body with its signature; lines count from 1."""
    code = _DIRECTIVE.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), without_noise(text))
    found, stack, header_start, parentheses = [], [], 0, 0
    for position, char in enumerate(code):
        in_scope = all(kind == "scope" for kind, _ in stack)
        if in_scope and char in "()":
            parentheses += 1 if char == "(" else -1
        if char == "{":
            kind = "inner"
            if in_scope and parentheses == 0:
                kind = _kind_of_block(code[header_start:position].strip())
            start = _ACCESS.match(code, header_start).end()
            stack.append((kind, start))
        elif char == "}" and stack:
            kind, start = stack.pop()
            if kind == "function":
                found.append((code.count("\n", 0, start) + 1, code.count("\n", 0, position) + 1))
        if char in "{};" and all(kind == "scope" for kind, _ in stack):
            header_start = position + 1
    return found
