// Xml: the little of XML in which S3 answers, read from a server that may be hostile.
//
// Elements and their text; attributes, comments and processing instructions are skipped,
// prefixes of names dropped. Bounded in depth and number. A DOCTYPE is refused, so nothing can
// be declared and nothing grows: only the five entities of XML itself and character references
// are known.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace airlock::artifact {

inline constexpr std::size_t kXmlDepthMax = 16;
inline constexpr std::size_t kXmlElementsMax = 50'000;  // a page of 1,000 keys has some 8,000

struct XmlElement {
  std::string name;
  std::string text;  // of the element itself, as it stands there
  std::vector<XmlElement> children;

  const XmlElement* find(std::string_view child) const;    // the first of that name, or null
  std::string_view text_of(std::string_view child) const;  // empty if there is none
};

// The root element. kProtocol says what is malformed and where.
base::Result<XmlElement> parse_xml(std::string_view text);

// As text within an element.
std::string xml_escaped(std::string_view text);

}  // namespace airlock::artifact
