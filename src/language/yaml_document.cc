#include "language/yaml_document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

namespace airlock::language {
namespace {

YamlPosition position_of(const YAML::Mark& mark) {
  return {.line = std::max(mark.line, 0) + 1, .column = std::max(mark.column, 0) + 1};
}

// A list or mapping that is not yet closed.
struct OpenNode {
  YamlNode node;
  std::optional<YamlEntry> entry;  // of a mapping, its key is read and its value is awaited
};

// Builds the tree from the parser's events. The first error sticks; later events are passed over,
// because the parser offers no way to stop but an exception.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view origin) : origin_(origin) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add_leaf(mark, "", anchor, YamlNode::Kind::kNothing, "");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "aliases (*name) are not allowed here", "write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    add_leaf(mark, tag, anchor, YamlNode::Kind::kText, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kMapping);
  }
  void OnMapEnd() override { close(); }

  std::optional<base::Error>& error() { return error_; }
  YamlNode& root() { return root_; }

 private:
  void refuse(const YAML::Mark& mark, std::string message, std::string hint = {}) {
    if (!error_) {
      error_ = yaml_error(origin_, position_of(mark), std::move(message), std::move(hint));
    }
  }

  // False if the node must not be added.
  bool admit(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (error_) return false;
    if (anchor != 0) {
      refuse(mark, "anchors (&name) are not allowed here", "write the value out where it is used");
    } else if (!tag.empty() && tag != "?" && tag != "!") {
      refuse(mark, "tags (" + tag + ") are not allowed here");
    } else if (++nodes_ > kYamlNodesMax) {
      refuse(mark, "more than " + std::to_string(kYamlNodesMax) + " values");
    }
    return !error_;
  }

  void add_leaf(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                YamlNode::Kind kind, const std::string& text) {
    if (!admit(mark, tag, anchor)) return;
    if (awaits_key()) {
      add_key(mark, kind, text);
      return;
    }
    add_value({.kind = kind, .at = position_of(mark), .text = text, .items = {}, .entries = {}});
  }

  bool awaits_key() const {
    return !open_.empty() && open_.back().node.kind == YamlNode::Kind::kMapping &&
           !open_.back().entry;
  }

  void add_key(const YAML::Mark& mark, YamlNode::Kind kind, const std::string& text) {
    const std::vector<YamlEntry>& entries = open_.back().node.entries;
    if (entries.size() >= kYamlKeysMax) {
      refuse(mark, "more than " + std::to_string(kYamlKeysMax) + " keys");
      return;
    }
    const auto first = std::ranges::find(entries, text, &YamlEntry::key);
    if (kind != YamlNode::Kind::kText || text.empty()) {
      refuse(mark, "a key is empty");
    } else if (first != entries.end()) {
      refuse(mark, "the key \"" + text + "\" is there twice, first in line " +
                       std::to_string(first->at.line));
    } else {
      open_.back().entry = YamlEntry{.key = text, .at = position_of(mark), .value = {}};
    }
  }

  void add_value(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    OpenNode& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kList) {
      parent.node.items.push_back(std::move(node));
    } else {
      parent.entry->value = std::move(node);
      parent.node.entries.push_back(std::move(*parent.entry));
      parent.entry.reset();
    }
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    if (!admit(mark, tag, anchor)) return;
    if (awaits_key()) {
      refuse(mark, "a key must be text, not " + std::string(yaml_kind_name(kind)),
             "text in braces must be quoted: \"{source}\"");
    } else if (open_.size() >= kYamlDepthMax) {
      refuse(mark, "nested deeper than " + std::to_string(kYamlDepthMax) + " levels");
    } else {
      OpenNode opened;
      opened.node.kind = kind;
      opened.node.at = position_of(mark);
      open_.push_back(std::move(opened));
    }
  }

  void close() {
    if (error_ || open_.empty()) return;
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    add_value(std::move(node));
  }

  std::string_view origin_;
  std::optional<base::Error> error_;
  std::size_t nodes_ = 0;
  std::vector<OpenNode> open_;
  YamlNode root_;
};

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto found = std::ranges::find(entries, key, &YamlEntry::key);
  return found == entries.end() ? nullptr : &found->value;
}

std::string_view yaml_kind_name(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNothing: return "nothing";
    case YamlNode::Kind::kText: return "text";
    case YamlNode::Kind::kList: return "a list";
    case YamlNode::Kind::kMapping: return "a mapping";
  }
  return "unknown";
}

base::Error yaml_error(std::string_view origin, YamlPosition at, std::string message,
                       std::string hint) {
  std::string text(origin);
  text += ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + message;
  return {.code = base::ErrorCode::kInvalidArgument,
          .os_errno = 0,
          .message = std::move(text),
          .hint = std::move(hint)};
}

base::Result<YamlNode> parse_yaml(std::string_view text, std::string_view origin) {
  std::istringstream stream{std::string(text)};
  TreeBuilder builder(origin);
  bool more = false;
  // yaml-cpp speaks in exceptions; they end here.
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    if (!builder.error()) {
      TreeBuilder second(origin);
      more = parser.HandleNextDocument(second);
    }
  } catch (const YAML::Exception& exception) {
    if (!builder.error()) {
      return base::fail(yaml_error(origin, position_of(exception.mark), exception.msg));
    }
  }
  if (builder.error()) return base::fail(std::move(*builder.error()));
  if (more) {
    return base::fail(yaml_error(origin, builder.root().at, "a second document follows this one",
                                 "put everything into one"));
  }
  return std::move(builder.root());
}

}  // namespace airlock::language
