#include "client/answer_error.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <string>

#include "client/json_fields.h"

namespace airlock::client {
namespace {

constexpr std::size_t kForeignBytesMax = 200;  // of an answer that is not ours
constexpr std::size_t kProblemsMax = 10;

base::ErrorCode code_of(int status) {
  switch (status) {
    case 400:
    case 403:  // what was asked is not allowed there, to nobody or not to this one
    case 413:
    case 415:
    case 422: return base::ErrorCode::kInvalidArgument;
    case 401: return base::ErrorCode::kPermissionDenied;
    case 404: return base::ErrorCode::kNotFound;
    case 429: return base::ErrorCode::kBusy;
    case 502:
    case 503:
    case 504: return base::ErrorCode::kUnavailable;
    default: return base::ErrorCode::kProtocol;
  }
}

std::string bounded(std::string text) {
  if (text.size() > kRefusalTextBytesMax) {
    text.resize(kRefusalTextBytesMax);
    text += "...";
  }
  return text;
}

// [{"loc": ["body", "repo_url"], "msg": "repo_url: Field required"}]
std::string problems_text(const boost::json::array& problems) {
  std::string text;
  std::size_t count = 0;
  for (const boost::json::value& one : problems) {
    const auto* const problem = one.if_object();
    if (problem == nullptr || ++count > kProblemsMax) continue;
    const std::string message = text_of(*problem, "msg");
    const boost::json::array& place = array_of(*problem, "loc");
    const auto* const field = place.empty() ? nullptr : place.back().if_string();
    if (!text.empty()) text += "; ";
    if (field != nullptr && !field->empty() && message.find(*field) == std::string::npos) {
      text += std::string(*field) + ": ";
    }
    text += message;
  }
  return text;
}

struct Said {
  std::string message;
  std::string hint;
};

Said said_in(std::string_view body) {
  boost::system::error_code failed;
  const boost::json::value value = boost::json::parse(body, failed);
  const auto* const answer = failed ? nullptr : value.if_object();
  if (answer == nullptr) return {};
  if (const boost::json::object& error = object_of(*answer, "error"); !error.empty()) {
    return {text_of(error, "message"), text_of(error, "hint")};
  }
  if (std::string text = text_of(*answer, "detail"); !text.empty()) return {std::move(text), {}};
  return {problems_text(array_of(*answer, "detail")), {}};
}

}  // namespace

base::Error answer_error(int status, std::string_view body) {
  Said said = said_in(body);
  if (said.message.empty()) {
    said.message = "the service answered with status " + std::to_string(status);
    const std::string_view piece = body.substr(0, kForeignBytesMax);
    if (!piece.empty()) said.message += ": " + std::string(piece);
  }
  if (status == 401) {
    said.hint += (said.hint.empty() ? "" : "; ");
    said.hint += "the key comes from AIRLOCK_API_KEY or --api-key-file";
  }
  return {code_of(status), 0, bounded(std::move(said.message)), bounded(std::move(said.hint))};
}

}  // namespace airlock::client
