#!/usr/bin/env python3
"""Shows that every style rule can fail, and that none fails on a clean tree."""

import pathlib
import tempfile
import unittest

import cpp_text
import style_rules

HEADER = "// What it is for.\n// What it guarantees.\n// What it does not do.\n#pragma once\n"
CLEAN = {
    "tests/style/layers.txt": "base:\nmodel: base\njail: base\nhttp: model <boost/json\n"
                              "backend: model/run\napps/jail: jail base\napps/airlock: http\n",
    "src/base/result.h": HEADER + "int f();\n",
    "src/base/result.cc": '#include "base/result.h"\nint f() { return 1; }\n',
    "src/model/run.h": HEADER + '#include "base/result.h"\n',
    "src/jail/jail.h": HEADER + '#include "base/result.h"\n',
    "apps/jail/main.cc": '#include "jail/jail.h"\nint main() { return f(); }\n',
}


def findings_in(rule, files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            target = pathlib.Path(root) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return [str(found) for found in style_rules.RULES[rule](style_rules.Tree(root))]


class RulesTest(unittest.TestCase):
    def assert_finds(self, rule, path, text, words):
        found = findings_in(rule, {**CLEAN, path: text})
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(path), found)
        self.assertIn(words, found[0])

    def assert_clean(self, rule, path, text):
        self.assertEqual(findings_in(rule, {**CLEAN, path: text}), [])

    def test_a_clean_tree_breaks_no_rule(self):
        for rule in style_rules.RULES:
            self.assertEqual(findings_in(rule, CLEAN), [], rule)

    def test_every_rule_has_a_test_here(self):
        tested = {name.removeprefix("test_rule_") for name in dir(self)
                  if name.startswith("test_rule_")}
        self.assertEqual(tested, set(style_rules.RULES))

    def test_rule_includes(self):
        base = "src/base/x.cc"
        self.assert_finds("includes", base, '#include "model/run.h"\n', 'base may not include')
        self.assert_finds("includes", base, '#include "no/such.h"\n', "not a path below src/")
        self.assert_finds("includes", base, "#include <boost/json.hpp>\n", "not for base")
        self.assert_finds("includes", "src/http/x.cc", "#include <boost/asio.hpp>\n", "not for")
        self.assert_finds("includes", "src/news/x.cc", "int x;\n", "not in tests/style/layers.txt")
        self.assert_finds("includes", "src/backend/x.cc", '#include "base/result.h"\n', "may not")
        self.assert_finds("includes", "apps/jail/x.cc", '#include "model/run.h"\n', "may not")
        self.assert_clean("includes", "src/http/x.cc", "#include <boost/json.hpp>\n")
        self.assert_clean("includes", "src/backend/x.cc", '#include "model/run.h"\n')
        self.assert_clean("includes", base, "#include <vector>\n#include <sys/mount.h>\n")

    def test_rule_file_length(self):
        path, long_text = "src/base/long.cc", "int x;\n" * 501
        self.assert_finds("file_length", path, long_text, "has 501 lines, at most 500")
        self.assert_clean("file_length", path, "int x;\n" * 500)
        listed = {**CLEAN, path: long_text}
        exceptions = "tests/style/size_exceptions.txt"
        self.assertEqual(findings_in("file_length", {**listed, exceptions: f"{path} 501\n"}), [])
        for lines, words in ((600, "shrank"), (500, "has 501 lines")):
            found = findings_in("file_length", {**listed, exceptions: f"{path} {lines}\n"})
            self.assertEqual(len(found), 1, found)
            self.assertIn(words, found[0])
        found = findings_in("file_length", {**CLEAN, exceptions: "src/gone.cc 600\n"})
        self.assertIn("does not exist", found[0])

    def test_rule_function_length(self):
        path = "src/base/x.cc"
        body = "  int x = 1;\n"
        self.assert_finds("function_length", path, "int g() {\n" + body * 69 + "}\n", "71 lines")
        self.assert_clean("function_length", path, "int g() {\n" + body * 68 + "}\n")
        self.assert_finds("function_length", path,
                          "struct A {\n  A() : b_{1}, c_(2) {\n" + body * 70 + "  }\n};\n", "lines")
        self.assert_clean("function_length", path,
                          "constexpr int kTable[] = {\n" + "  1,\n" * 90 + "};\n")
        self.assert_clean("function_length", path,
                          "namespace a {\n" + "int f() { return '{'; }  // {\n" * 90 + "}\n")

    def test_rule_columns(self):
        self.assert_finds("columns", "tools/x.py", "x = 1\n" + "#" * 101 + "\n", ":2: 101 columns")
        self.assert_clean("columns", "tools/x.py", "#" * 100 + "\n")

    def test_rule_launcher_budget(self):
        tree = {**CLEAN, "src/jail/big.cc": "int x;\n// Why.\n\n" * 7_070}
        self.assertEqual(len(findings_in("launcher_budget", tree)), 0)
        tree["src/base/result.cc"] += "int x;\n" * 30
        found = findings_in("launcher_budget", tree)
        self.assertEqual(len(found), 1)
        self.assertIn("must stay under 7100", found[0])
        # What nothing of the launcher includes does not count, and neither do tests.
        tree = {**CLEAN, "src/base/other.cc": "int x;\n" * 7_100,
                "src/jail/client.h": HEADER, "src/jail/client.cc": "int x;\n" * 7_100,
                "src/jail/jail_test.cc": "int x;\n" * 7_100}
        self.assertEqual(findings_in("launcher_budget", tree), [])

    def test_rule_using_namespace(self):
        self.assert_finds("using_namespace", "src/base/x.cc", "using namespace std;\n", "hides")
        self.assert_clean("using_namespace", "src/base/x.cc", "// not using namespace std\n")

    def test_rule_streams(self):
        text = "void f() { std::cout << 1; }\n"
        self.assert_finds("streams", "src/base/x.cc", text, "only a program prints")
        self.assert_clean("streams", "apps/airlock/x.cc", text)

    def test_rule_raw_ownership(self):
        path = "src/base/x.cc"
        self.assert_finds("raw_ownership", path, "int* p = new int(3);\n", "owner")
        self.assert_finds("raw_ownership", path, "void f(int* p) { delete p; }\n", "owner")
        self.assert_finds("raw_ownership", path, "void f(int* p) { delete[] p; }\n", "owner")
        self.assert_clean("raw_ownership", path, "struct A { A(const A&) = delete; };\n")
        self.assert_clean("raw_ownership", path, '// a new door\nauto s = "new door";\n')

    def test_rule_unfinished(self):
        mark = "TO" + "DO"
        self.assert_finds("unfinished", "src/base/x.cc", f"// {mark}: later\n", "finish it")
        self.assert_finds("unfinished", "tools/x.py", f"# {mark}\n", "finish it")

    def test_rule_null(self):
        self.assert_finds("null", "src/base/x.cc", "int* p = NULL;\n", "nullptr")
        self.assert_clean("null", "src/base/x.cc", "// NULL in a comment\n")

    def test_rule_throw(self):
        self.assert_finds("throw", "src/base/x.cc", "void f() { throw 1; }\n", "Results")

    def test_rule_headers(self):
        path = "src/base/x.h"
        self.assert_finds("headers", path, "// Short.\n#pragma once\n", "1 lines of comment")
        self.assert_finds("headers", path, "//\n" * 21 + "#pragma once\n", "21 lines of comment")
        self.assert_finds("headers", path, "//\n" * 3 + "int x;\n", "no #pragma once")

    def test_rule_file_names(self):
        self.assert_finds("file_names", "src/base/UniqueFd.cc", "int x;\n", "snake_case")


class CppTextTest(unittest.TestCase):
    def test_literals_and_comments_are_no_code_and_lines_stay(self):
        text = 'a("{//");  // }\nb(\'{\'); /* {\n */ c(R"x({)x"); d(1\'000);\n'
        code = cpp_text.without_noise(text)
        self.assertNotIn("{", code)
        self.assertNotIn("}", code)
        self.assertEqual(code.count("\n"), text.count("\n"))
        self.assertIn("d(1", code)

    def test_functions_are_found_in_classes_and_namespaces(self):
        text = ("namespace a {\nclass B final : public C {\n public:\n"
                "  bool operator==(const B&) const {\n    return true;\n  }\n};\n"
                "int f(int x = 3) {\n  if (x) {\n  }\n  return x;\n}\n"
                "constexpr std::array kX = {1, 2};\n}  // namespace a\n")
        self.assertEqual(cpp_text.functions(text), [(4, 6), (8, 12)])

    def test_a_signature_over_several_lines_counts(self):
        text = "int f(int a,\n      int b) {\n  return a;\n}\n"
        self.assertEqual(cpp_text.functions(text), [(1, 4)])


if __name__ == "__main__":
    unittest.main()
