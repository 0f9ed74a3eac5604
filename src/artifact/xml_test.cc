#include "artifact/xml.h"

#include <gtest/gtest.h>

#include <random>

namespace airlock::artifact {
namespace {

TEST(XmlTest, ReadsAnAnswerOfS3) {
  const XmlElement root =
      parse_xml(
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- hello -->\n"
          "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
          "<Contents><Key>a&amp;b &#x2f;&#65;</Key><Size>3</Size></Contents>"
          "<s3:Contents><Key><![CDATA[<c>]]></Key></s3:Contents><Empty/></ListBucketResult>\n")
          .value();
  EXPECT_EQ(root.name, "ListBucketResult");
  ASSERT_EQ(root.children.size(), 3U);
  EXPECT_EQ(root.children[0].text_of("Key"), "a&b /A");
  EXPECT_EQ(root.children[0].text_of("Size"), "3");
  EXPECT_EQ(root.children[1].name, "Contents");
  EXPECT_EQ(root.children[1].text_of("Key"), "<c>");
  EXPECT_EQ(root.text_of("Empty"), "");
  EXPECT_EQ(root.find("Nothing"), nullptr);
}

TEST(XmlTest, KeepsBlanksOfAKey) {
  EXPECT_EQ(parse_xml("<a><Key> x </Key></a>").value().text_of("Key"), " x ");
}

class XmlRefusesTest : public testing::TestWithParam<const char*> {};
TEST_P(XmlRefusesTest, WhatIsMalformedOrCouldGrow) {
  const auto parsed = parse_xml(GetParam());
  ASSERT_FALSE(parsed.has_value()) << GetParam();
  EXPECT_EQ(parsed.error().code, base::ErrorCode::kProtocol);
}
INSTANTIATE_TEST_SUITE_P(
    Every, XmlRefusesTest,
    testing::Values("", "text", "<a>", "<a", "<a></b>", "<a/><b/>", "<a>&unknown;</a>", "<a>&</a>",
                    "<a>&#x110000;</a>", "<a>&#0;</a>", "<a>&#xd800;</a>", "<a>&#;</a>",
                    "<a><!-- </a>", "<a><![CDATA[</a>", "<a b=\"></a>", "< >", "<?xml",
                    "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
                    "<a><!ENTITY b \"c\"></a>"));

TEST(XmlTest, DepthAndNumberAreBounded) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  EXPECT_FALSE(parse_xml(deep).has_value());
  std::string many = "<a>";
  for (std::size_t i = 0; i <= kXmlElementsMax; ++i) many += "<b/>";
  EXPECT_FALSE(parse_xml(many + "</a>").has_value());
}

TEST(XmlTest, AnyBytesAreReadWithoutHarm) {
  const std::string seed =
      "<?xml version='1.0'?><a x='1'><Key>a&amp;&#65;</Key><![CDATA[x]]><!--y--><b/></a>";
  std::mt19937 random(20'130'524);
  const auto below = [&random](std::size_t n) { return std::size_t{random()} % n; };
  std::size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = seed;
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
      const std::size_t at = below(text.size());
      switch (below(3)) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.erase(at, 1 + below(8)); break;
        default: text.insert(at, seed.substr(below(seed.size()), below(12))); break;
      }
      if (text.empty()) text = "<";
    }
    accepted += parse_xml(text).has_value();
  }
  EXPECT_GT(accepted, 0U);
}

TEST(XmlTest, WhatIsEscapedComesBack) {
  const std::string text = "a<b>&\"c'";
  EXPECT_EQ(parse_xml("<a>" + xml_escaped(text) + "</a>").value().text, text);
}

}  // namespace
}  // namespace airlock::artifact
