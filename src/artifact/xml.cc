#include "artifact/xml.h"

#include <cstdint>
#include <optional>

namespace airlock::artifact {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::size_t kReferenceBytesMax = 10;  // "&#x10FFFF;"

void append_utf8(std::string& text, std::uint32_t character) {
  const auto byte = [&text](std::uint32_t value) { text += static_cast<char>(value); };
  if (character < 0x80) {
    byte(character);
  } else if (character < 0x800) {
    byte(0xc0 | (character >> 6));
    byte(0x80 | (character & 0x3f));
  } else if (character < 0x10000) {
    byte(0xe0 | (character >> 12));
    byte(0x80 | ((character >> 6) & 0x3f));
    byte(0x80 | (character & 0x3f));
  } else {
    byte(0xf0 | (character >> 18));
    byte(0x80 | ((character >> 12) & 0x3f));
    byte(0x80 | ((character >> 6) & 0x3f));
    byte(0x80 | (character & 0x3f));
  }
}

// "#10" or "#xA", what stands between "&" and ";".
std::optional<std::uint32_t> parse_reference(std::string_view body) {
  const bool is_hex = body.starts_with("#x");
  body.remove_prefix(is_hex ? 2 : 1);
  if (body.empty()) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : body) {
    std::uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (is_hex && c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a') + 10;
    } else if (is_hex && c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A') + 10;
    } else {
      return std::nullopt;
    }
    value = value * (is_hex ? 16 : 10) + digit;
    if (value > 0x10ffff) return std::nullopt;
  }
  const bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
  return value == 0 || is_surrogate ? std::nullopt : std::optional(value);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  base::Result<XmlElement> parse() {
    AIRLOCK_TRY(skip_between(false));
    XmlElement root;
    AIRLOCK_TRY(parse_element(root, 1));
    AIRLOCK_TRY(skip_between(false));
    if (at_ != text_.size()) return fail("something follows the last element");
    return root;
  }

 private:
  std::unexpected<base::Error> fail(std::string_view what) const {
    return base::fail(base::ErrorCode::kProtocol,
                      "malformed XML at byte " + std::to_string(at_) + ": " + std::string(what));
  }

  bool looking_at(std::string_view token) const { return text_.substr(at_).starts_with(token); }

  // Skips to behind the next `token`.
  bool skip_past(std::string_view token) {
    const std::size_t found = text_.find(token, at_);
    if (found == std::string_view::npos) return false;
    at_ = found + token.size();
    return true;
  }

  // What may stand where no text may: blanks, comments, processing instructions.
  base::Status skip_between(bool keeps_blanks) {
    while (at_ < text_.size()) {
      if (!keeps_blanks && kBlanks.find(text_[at_]) != std::string_view::npos) {
        ++at_;
      } else if (looking_at("<?")) {
        if (!skip_past("?>")) return fail("an instruction without an end");
      } else if (looking_at("<!--")) {
        if (!skip_past("-->")) return fail("a comment without an end");
      } else if (looking_at("<!") && !looking_at("<![CDATA[")) {
        return fail("a declaration, which no answer of S3 has");
      } else if (!keeps_blanks && looking_at("\xef\xbb\xbf")) {
        at_ += 3;
      } else {
        break;
      }
    }
    return {};
  }

  // The name without its prefix, up to a blank, "/" or ">".
  std::string take_name() {
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n/>", at_), text_.size());
    std::string_view name = text_.substr(at_, end - at_);
    at_ = end;
    if (const std::size_t colon = name.rfind(':'); colon != std::string_view::npos) {
      name.remove_prefix(colon + 1);
    }
    return std::string(name);
  }

  // Behind the name of a start tag: skips attributes. Gives whether the element ends at once.
  base::Result<bool> skip_attributes() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '>') {
        ++at_;
        return false;
      }
      if (looking_at("/>")) {
        at_ += 2;
        return true;
      }
      ++at_;
      if (c == '"' || c == '\'') {
        if (!skip_past(std::string_view(&c, 1))) break;
      }
    }
    return fail("a tag without an end");
  }

  base::Status take_reference(std::string& into) {
    const std::size_t end = text_.substr(at_, kReferenceBytesMax + 1).find(';');
    if (end == std::string_view::npos) return fail("an \"&\" without its \";\"");
    const std::string_view body = text_.substr(at_ + 1, end - 1);
    if (body == "amp") {
      into += '&';
    } else if (body == "lt") {
      into += '<';
    } else if (body == "gt") {
      into += '>';
    } else if (body == "quot") {
      into += '"';
    } else if (body == "apos") {
      into += '\'';
    } else {
      const auto character =
          body.starts_with('#') ? parse_reference(body) : std::optional<std::uint32_t>();
      if (!character) return fail("an entity that XML does not know");
      append_utf8(into, *character);
    }
    at_ += end + 1;
    return {};
  }

  base::Status take_text(std::string& into) {
    if (looking_at("<![CDATA[")) {
      at_ += 9;
      const std::size_t start = at_;
      if (!skip_past("]]>")) return fail("a CDATA section without an end");
      into += text_.substr(start, at_ - 3 - start);
      return {};
    }
    if (text_[at_] == '&') return take_reference(into);
    const std::size_t end = std::min(text_.find_first_of("<&", at_), text_.size());
    into += text_.substr(at_, end - at_);
    at_ = end;
    return {};
  }

  // NOLINTNEXTLINE(misc-no-recursion): at most kXmlDepthMax deep.
  base::Status parse_element(XmlElement& element, std::size_t depth) {
    if (depth > kXmlDepthMax) return fail("elements too deep in one another");
    if (++elements_ > kXmlElementsMax) return fail("too many elements");
    if (at_ >= text_.size() || text_[at_] != '<') return fail("no element where one is needed");
    ++at_;
    element.name = take_name();
    if (element.name.empty()) return fail("an element without a name");
    AIRLOCK_ASSIGN(const bool is_empty, skip_attributes());
    if (is_empty) return {};
    while (true) {
      AIRLOCK_TRY(skip_between(true));
      if (at_ >= text_.size()) return fail("<" + element.name.substr(0, 64) + "> has no end");
      if (looking_at("</")) break;
      if (text_[at_] == '<' && !looking_at("<![CDATA[")) {
        AIRLOCK_TRY(parse_element(element.children.emplace_back(), depth + 1));
      } else {
        AIRLOCK_TRY(take_text(element.text));
      }
    }
    at_ += 2;
    if (take_name() != element.name) return fail("an end tag of another element");
    AIRLOCK_ASSIGN([[maybe_unused]] const bool ended, skip_attributes());
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t elements_ = 0;
};

}  // namespace

const XmlElement* XmlElement::find(std::string_view child) const {
  for (const XmlElement& element : children) {
    if (element.name == child) return &element;
  }
  return nullptr;
}

std::string_view XmlElement::text_of(std::string_view child) const {
  const XmlElement* const element = find(child);
  return element == nullptr ? std::string_view() : std::string_view(element->text);
}

base::Result<XmlElement> parse_xml(std::string_view text) { return Parser(text).parse(); }

std::string xml_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

}  // namespace airlock::artifact
