#include "artifact/s3_store.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "artifact/names.h"
#include "artifact/s3_download.h"
#include "artifact/s3_upload.h"
#include "artifact/xml.h"

namespace airlock::artifact {
namespace {

// As a form is encoded: S3 writes a blank as "+", and every real "+" as %2B.
std::optional<std::string> url_decoded(std::string text) {
  std::ranges::replace(text, '+', ' ');
  return percent_decode(text);
}

struct Page {
  std::vector<ObjectInfo> objects;
  std::string next;  // empty: the last page
};

base::Result<ObjectInfo> read_object(const XmlElement& element, bool is_encoded) {
  ObjectInfo object;
  object.key = element.text_of("Key");
  if (is_encoded) {
    auto decoded = url_decoded(std::move(object.key));
    if (!decoded) return base::fail(base::ErrorCode::kProtocol, "a key is not encoded as it says");
    object.key = std::move(*decoded);
  }
  const std::string_view size = element.text_of("Size");
  std::uint64_t bytes = 0;
  const auto [end, problem] = std::from_chars(size.data(), size.data() + size.size(), bytes);
  if (problem != std::errc() || end != size.data() + size.size()) {
    return base::fail(base::ErrorCode::kProtocol,
                      "the size of " + quoted(object.key) + " is no number: " + quoted(size));
  }
  object.size = base::ByteCount(bytes);
  return object;
}

base::Result<Page> read_page(const HttpAnswer& answer, const std::string& prefix) {
  AIRLOCK_ASSIGN(const XmlElement root, parse_xml(answer.body));
  Page page;
  const bool is_encoded = root.text_of("EncodingType") == "url";
  for (const XmlElement& child : root.children) {
    if (child.name != "Contents") continue;
    AIRLOCK_ASSIGN(ObjectInfo object, read_object(child, is_encoded));
    if (!object.key.starts_with(prefix)) {
      return base::fail(base::ErrorCode::kProtocol,
                        "the server listed " + quoted(object.key) + ", which was not asked for");
    }
    page.objects.push_back(std::move(object));
  }
  if (root.text_of("IsTruncated") != "true") return page;
  page.next = root.text_of("NextContinuationToken");
  if (page.next.empty() || page.objects.empty()) {
    return base::fail(base::ErrorCode::kProtocol, "the server does not say where the list goes on");
  }
  return page;
}

}  // namespace

base::Result<std::vector<ObjectInfo>> S3Store::list(const std::string& prefix,
                                                    std::size_t objects_max,
                                                    const Control& control) {
  const std::string what = "list " + describe(prefix);
  std::vector<ObjectInfo> objects;
  std::string next;
  do {
    S3Call call{.verb = "list", .method = "GET"};
    call.query = {{"list-type", "2"}, {"prefix", prefix}, {"encoding-type", "url"}};
    if (!next.empty()) call.query.emplace_back("continuation-token", next);
    AIRLOCK_ASSIGN(const HttpAnswer answer, session_.send(call, control));
    AIRLOCK_ASSIGN(Page page, read_page(answer, prefix).with_context(what));
    next = std::move(page.next);
    objects.insert(objects.end(), std::make_move_iterator(page.objects.begin()),
                   std::make_move_iterator(page.objects.end()));
    if (objects.size() > objects_max) {
      return base::fail(base::ErrorCode::kLimitExceeded,
                        what + ": there are more than " + std::to_string(objects_max) + " objects");
    }
  } while (!next.empty());
  std::ranges::sort(objects, {}, &ObjectInfo::key);
  return objects;
}

base::Result<ContentDigest> S3Store::get(const std::string& key, int fd, base::ByteCount size_max,
                                         const Control& control) {
  return s3_download(session_, {.key = key, .fd = fd, .size_max = size_max}, control);
}

base::Result<ContentDigest> S3Store::put(const Upload& upload, const Control& control) {
  return s3_upload(session_, upload, control);
}

base::Result<std::size_t> S3Store::sweep(const SweepRequest& request, const Control& control) {
  return s3_sweep(session_, request, control);
}

}  // namespace airlock::artifact
