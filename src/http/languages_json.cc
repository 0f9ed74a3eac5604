#include "http/languages_json.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "http/json_text.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

boost::json::array words_json(const std::vector<std::string>& words) {
  boost::json::array array;
  for (const std::string& word : words) array.emplace_back(printable_utf8(word));
  return array;
}

boost::json::object status_json(const language::LanguageStatus& status) {
  return {{"name", printable_utf8(status.name)},
          {"aliases", words_json(status.aliases)},
          {"extensions", words_json(status.extensions)},
          {"status", language::presence_name(status.presence)},
          {"version", text_or_null(status.version)},
          {"toolchain", printable_utf8(status.toolchain)},
          {"compiled", status.compiled},
          {"packages", words_json(status.packages)},
          {"note", text_or_null(status.note)}};
}

}  // namespace

std::string languages_json(const std::vector<language::LanguageStatus>& statuses) {
  boost::json::array languages;
  for (const language::LanguageStatus& status : statuses) languages.push_back(status_json(status));
  boost::json::object object;
  object["languages"] = std::move(languages);
  return boost::json::serialize(object);
}

}  // namespace airlock::http
