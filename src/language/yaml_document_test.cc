#include "language/yaml_document.h"

#include <gtest/gtest.h>

namespace airlock::language {
namespace {

std::string error_of(const std::string& text) {
  const auto root = parse_yaml(text, "t");
  return root ? "no error" : root.error().message;
}

TEST(YamlDocumentTest, ATreeKnowsWhereEverythingStands) {
  const auto root = parse_yaml("a: 1\nlist:\n  - x\n  - {k: \"010\"}\n", "t");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->find("a")->text, "1");
  const YamlNode* list = root->find("list");
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(list->items[0].at.line, 3);
  EXPECT_EQ(list->items[0].at.column, 5);
  EXPECT_EQ(list->items[1].find("k")->text, "010");
  EXPECT_EQ(root->find("nothing"), nullptr);
}

TEST(YamlDocumentTest, WhatWouldBeReadInTwoWaysIsRefused) {
  EXPECT_EQ(error_of("a: 1\nb: 2\na: 3\n"), "t:3:1: the key \"a\" is there twice, first in line 1");
  EXPECT_EQ(error_of("a: &x 1\nb: *x\n"), "t:1:4: anchors (&name) are not allowed here");
  EXPECT_EQ(error_of("a: !!int 1\n"), "t:1:4: tags (tag:yaml.org,2002:int) are not allowed here");
  EXPECT_EQ(error_of("[a]: 1\n"), "t:1:1: a key must be text, not a list");
  EXPECT_EQ(error_of("~: 1\n"), "t:1:1: a key is empty");
  EXPECT_EQ(error_of("a: 1\n---\nb: 2\n"), "t:1:1: a second document follows this one");
}

TEST(YamlDocumentTest, SyntaxErrorsSayWhere) {
  EXPECT_EQ(error_of("a: [1, 2\n").substr(0, 4), "t:2:");
  EXPECT_EQ(error_of("a:\n\t- x\n").substr(0, 4), "t:2:");
}

TEST(YamlDocumentTest, AnEmptyTextIsNothing) {
  for (const char* text : {"", "\n", "# only a comment\n"}) {
    const auto root = parse_yaml(text, "t");
    ASSERT_TRUE(root);
    EXPECT_EQ(root->kind, YamlNode::Kind::kNothing);
  }
}

TEST(YamlDocumentTest, DepthIsBounded) {
  const std::string deepest = std::string(kYamlDepthMax, '[') + std::string(kYamlDepthMax, ']');
  EXPECT_EQ(error_of(deepest), "no error");
  EXPECT_EQ(error_of("[" + deepest + "]"), "t:1:17: nested deeper than 16 levels");
  EXPECT_NE(error_of(std::string(200'000, '[')), "no error");
}

TEST(YamlDocumentTest, TheNumberOfValuesIsBounded) {
  std::string text = "[";
  for (std::size_t i = 0; i < kYamlNodesMax + 1; ++i) text += "1,";
  EXPECT_NE(error_of(text + "]").find("more than 20000 values"), std::string::npos);
}

TEST(YamlDocumentTest, TheNumberOfKeysIsBounded) {
  std::string text;
  for (std::size_t i = 0; i < kYamlKeysMax; ++i) text += "k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(error_of(text), "no error");
  EXPECT_EQ(error_of(text + "one: 2\n"), "t:1001:1: more than 1000 keys");
}

TEST(YamlDocumentTest, AnAliasBombIsRefusedAtItsFirstAnchor) {
  std::string text = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    text +=
        "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last + ", " + last + "]\n";
  }
  EXPECT_EQ(error_of(text), "t:1:5: anchors (&name) are not allowed here");
}

}  // namespace
}  // namespace airlock::language
