#include "artifact/s3_upload.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "artifact/digest.h"
#include "artifact/names.h"
#include "artifact/xml.h"

namespace airlock::artifact {
namespace {

constexpr std::chrono::seconds kAbortTime{15};
constexpr std::size_t kUploadIdBytesMax = 2'048;
constexpr std::size_t kEtagBytesMax = 256;

class MultipartUpload {
 public:
  MultipartUpload(S3Session& session, const Upload& upload, const Control& control)
      : session_(session), upload_(upload), control_(control) {}

  base::Result<ContentDigest> run() {
    AIRLOCK_TRY(begin());
    auto done = send_all();
    if (!done) abort_after(done.error());
    return done;
  }

 private:
  S3Call call(std::string method, NameValues query) const {
    return {
        .verb = "put", .method = std::move(method), .key = upload_.key, .query = std::move(query)};
  }

  std::string what() const { return "put " + session_.describe(upload_.key); }

  base::Status begin() {
    AIRLOCK_ASSIGN(const HttpAnswer answer,
                   session_.send(call("POST", {{"uploads", ""}}), control_));
    AIRLOCK_ASSIGN(const XmlElement root, parse_xml(answer.body).with_context(what()));
    id_ = root.text_of("UploadId");
    if (id_.empty() || id_.size() > kUploadIdBytesMax) {
      return base::fail(base::ErrorCode::kProtocol, what() + ": the server gave no upload id");
    }
    return {};
  }

  base::Result<ContentDigest> send_all() {
    const std::uint64_t part_size =
        choose_part_size(upload_.size, session_.config().part_size).count();
    Hasher whole(Hasher::Kind::kSha256);
    for (std::uint64_t offset = 0; offset < upload_.size.count(); offset += part_size) {
      AIRLOCK_TRY(send_part({.fd = upload_.fd,
                             .offset = offset,
                             .size = std::min(part_size, upload_.size.count() - offset)},
                            whole));
    }
    AIRLOCK_TRY(complete());
    return ContentDigest{.size = upload_.size, .sha256 = to_hex(whole.finish())};
  }

  base::Status send_part(const FileRange& range, Hasher& whole) {
    Hasher hasher(Hasher::Kind::kSha256);
    AIRLOCK_TRY(read_range(range, control_, session_.clock(), [&](std::string_view piece) {
                  hasher.update(piece);
                  whole.update(piece);
                  return base::Status();
                }).with_context(what()));
    S3Call part =
        call("PUT", {{"partNumber", std::to_string(etags_.size() + 1)}, {"uploadId", id_}});
    part.file = range;
    part.payload = to_hex(hasher.finish());
    AIRLOCK_ASSIGN(const HttpAnswer answer, session_.send(part, control_));
    const std::string etag = answer.header("etag");
    if (etag.empty() || etag.size() > kEtagBytesMax) {
      return base::fail(base::ErrorCode::kProtocol, what() + ": the server gave a part no ETag");
    }
    etags_.push_back(etag);
    return {};
  }

  // As S3 makes it: the MD5 of the parts' MD5s, and their number. Empty where ETags are no MD5s.
  std::string expected_etag() const {
    std::string all;
    for (const std::string& etag : etags_) {
      std::string_view digits = etag;
      if (digits.starts_with('"')) digits = digits.substr(1, digits.size() - 2);
      const std::string raw = from_hex(digits);
      if (raw.size() != 16) return {};
      all += raw;
    }
    const std::string md5 = md5_hex(all);
    return md5.empty() ? md5 : "\"" + md5 + "-" + std::to_string(etags_.size()) + "\"";
  }

  base::Status complete() {
    S3Call last = call("POST", {{"uploadId", id_}});
    last.body = "<CompleteMultipartUpload>";
    for (std::size_t i = 0; i < etags_.size(); ++i) {
      last.body += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" +
                   xml_escaped(etags_[i]) + "</ETag></Part>";
    }
    last.body += "</CompleteMultipartUpload>";
    last.payload = sha256_hex(last.body);
    Backoff backoff(session_.config().retry, session_.clock(), control_);
    while (true) {
      auto answer = session_.send_once(last, control_);
      if (answer) return {};
      // The answer to an earlier attempt, of ours or of libcurl's own, was lost, but it may have
      // done its work.
      if (answer.error().code == "NoSuchUpload" && is_there()) return {};
      AIRLOCK_TRY(backoff.wait_after(answer.error()));
    }
  }

  bool is_there() {
    const std::string etag = expected_etag();
    auto answer = session_.send(call("HEAD", {}), control_);
    return answer && !etag.empty() && answer->header("etag") == etag &&
           answer->header("content-length") == std::to_string(upload_.size.count());
  }

  // Also when it was called off, or its time is over.
  void abort_after(base::Error& error) {
    const Control control{.deadline = session_.clock().steady_now() + kAbortTime};
    auto aborted = session_.send(call("DELETE", {{"uploadId", id_}}), control);
    if (!aborted && aborted.error().code != base::ErrorCode::kNotFound) {
      error.message += "; what was sent so far could not be taken away: " + aborted.error().message;
    }
  }

  S3Session& session_;
  const Upload& upload_;
  const Control& control_;
  std::string id_;
  std::vector<std::string> etags_;
};

base::Result<ContentDigest> put_whole(S3Session& session, const Upload& upload,
                                      const Control& control) {
  const FileRange range{.fd = upload.fd, .offset = 0, .size = upload.size.count()};
  Hasher hasher(Hasher::Kind::kSha256);
  AIRLOCK_TRY(read_range(range, control, session.clock(), [&hasher](std::string_view piece) {
                hasher.update(piece);
                return base::Status();
              }).with_context("put " + session.describe(upload.key)));
  S3Call call{.verb = "put", .method = "PUT", .key = upload.key};
  call.file = range;
  call.payload = to_hex(hasher.finish());
  AIRLOCK_TRY(session.send(call, control));
  return ContentDigest{.size = upload.size, .sha256 = call.payload};
}

// --- sweeping ------------------------------------------------------------------------------------
struct Unfinished {
  std::string key;
  std::string id;
  std::string initiated;
};

// "2026-11-29T10:22:46.000Z"
std::optional<std::chrono::system_clock::time_point> parse_iso(const std::string& text) {
  std::tm parts{};
  if (::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

bool is_meant(const Unfinished& upload, const SweepRequest& request,
              std::chrono::system_clock::time_point now) {
  if (!upload.key.starts_with(request.prefix)) return false;
  if (!request.keys.empty() && !request.keys.contains(upload.key)) return false;
  if (request.age_min.count() == 0) return true;
  const auto begun = parse_iso(upload.initiated);
  return begun && now - *begun >= request.age_min;
}

struct UploadPage {
  std::vector<Unfinished> uploads;
  std::string next_key;
  std::string next_id;
  bool is_last = true;
};

base::Result<UploadPage> list_unfinished(S3Session& session, const SweepRequest& request,
                                         const UploadPage& before, const Control& control) {
  S3Call call{.verb = "list unfinished uploads of", .method = "GET"};
  call.query = {{"uploads", ""}, {"prefix", request.prefix}, {"max-uploads", "1000"}};
  if (!before.next_key.empty()) {
    call.query.emplace_back("key-marker", before.next_key);
    call.query.emplace_back("upload-id-marker", before.next_id);
  }
  AIRLOCK_ASSIGN(const HttpAnswer answer, session.send(call, control));
  AIRLOCK_ASSIGN(const XmlElement root, parse_xml(answer.body));
  UploadPage page;
  for (const XmlElement& child : root.children) {
    if (child.name != "Upload") continue;
    page.uploads.push_back({std::string(child.text_of("Key")),
                            std::string(child.text_of("UploadId")),
                            std::string(child.text_of("Initiated"))});
  }
  page.next_key = root.text_of("NextKeyMarker");
  page.next_id = root.text_of("NextUploadIdMarker");
  page.is_last = root.text_of("IsTruncated") != "true" || page.next_key.empty();
  return page;
}

}  // namespace

base::ByteCount choose_part_size(base::ByteCount size, base::ByteCount wanted) {
  const std::uint64_t mebibyte = base::mebibytes(1).count();
  const std::uint64_t needed = (size.count() + kPartsMax - 1) / kPartsMax;
  const std::uint64_t rounded = (needed + mebibyte - 1) / mebibyte * mebibyte;
  return base::ByteCount(
      std::clamp(std::max(wanted.count(), rounded), kPartSizeMin.count(), kPutSizeMax.count()));
}

base::Result<ContentDigest> s3_upload(S3Session& session, const Upload& upload,
                                      const Control& control) {
  if (upload.size > kObjectSizeMax) {
    return base::fail(base::ErrorCode::kLimitExceeded,
                      "put " + session.describe(upload.key) + ": " +
                          base::format_byte_count(upload.size) + " is more than S3's 5 TiB");
  }
  if (upload.size <= std::min(session.config().multipart_from, kPutSizeMax)) {
    return put_whole(session, upload, control);
  }
  return MultipartUpload(session, upload, control).run();
}

base::Result<std::size_t> s3_sweep(S3Session& session, const SweepRequest& request,
                                   const Control& control) {
  const auto now = session.clock().wall_now();
  std::size_t swept = 0;
  std::size_t seen = 0;
  UploadPage page;
  do {
    AIRLOCK_ASSIGN(page, list_unfinished(session, request, page, control));
    for (const Unfinished& upload : page.uploads) {
      if (++seen > kObjectsMax) return swept;
      if (!is_meant(upload, request, now)) continue;
      S3Call call{.verb = "abort the upload of",
                  .method = "DELETE",
                  .key = upload.key,
                  .query = {{"uploadId", upload.id}}};
      auto aborted = session.send(call, control);
      if (!aborted && aborted.error().code != base::ErrorCode::kNotFound) {
        return base::fail(std::move(aborted).error());
      }
      ++swept;
    }
  } while (!page.is_last);
  return swept;
}

}  // namespace airlock::artifact
