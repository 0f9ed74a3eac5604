#include "artifact/s3_download.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "artifact/digest.h"
#include "base/files.h"

namespace airlock::artifact {
namespace {

constexpr int kOk = 200;
constexpr int kPartialContent = 206;
constexpr std::size_t kMd5Digits = 32;

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = problem == std::errc() && end == text.data() + text.size();
  return is_whole ? std::optional(value) : std::nullopt;
}

// The first byte of "bytes 100-199/200".
std::optional<std::uint64_t> range_start(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  return parse_number(text.substr(0, text.find('-')));
}

class Receiver {
 public:
  Receiver(const Download& download, const Control& control)
      : download_(download), control_(control) {}

  std::uint64_t received() const { return received_; }
  bool has_begun() const { return has_begun_; }
  const std::string& etag() const { return etag_; }
  void expect_answer() { is_head_read_ = false; }

  base::Status take(const HttpAnswer& head, std::string_view piece) {
    AIRLOCK_TRY(read_head(head));
    const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, piece.size()));
    skip_ -= skipped;
    piece.remove_prefix(skipped);
    if (piece.size() > download_.size_max.count() - received_) return too_large();
    AIRLOCK_TRY(base::write_all(download_.fd, piece, "what was downloaded"));
    sha256_.update(piece);
    md5_.update(piece);
    received_ += piece.size();
    if (control_.on_bytes) control_.on_bytes(received_);
    return {};
  }

  // Once for each answer, also of one without a body.
  base::Status read_head(const HttpAnswer& head) {
    if (is_head_read_) return {};
    is_head_read_ = true;
    skip_ = 0;
    if (!has_begun_) return read_first_head(head);
    if (head.status == kPartialContent) {
      const bool fits = range_start(head.header("content-range")) == received_;
      if (fits) return {};
      return protocol("the server sent another part than was asked for");
    }
    if (head.header("etag") != etag_) return protocol("the object changed while it was read");
    skip_ = received_;
    return {};
  }

  base::Result<ContentDigest> finish() {
    if (total_ && received_ != *total_) return protocol("the object ended early");
    const std::string md5 = to_hex(md5_.finish());
    if (is_md5_ && !md5.empty() && etag_ != "\"" + md5 + "\"") {
      return base::fail(base::ErrorCode::kIo,
                        "what arrived is not what is stored: MD5 " + md5 + ", but the ETag is " +
                            etag_.substr(0, 64),
                        "something on the way changes content, or this server's ETags are no MD5");
    }
    return ContentDigest{.size = base::ByteCount(received_), .sha256 = to_hex(sha256_.finish())};
  }

 private:
  base::Status read_first_head(const HttpAnswer& head) {
    if (head.status != kOk) return protocol("the server sent a part that nobody asked for");
    has_begun_ = true;
    etag_ = head.header("etag");
    total_ = parse_number(head.header("content-length"));
    // With keys of a key service, or the customer's, an ETag is no MD5 of the content.
    const bool is_encrypted =
        head.header("x-amz-server-side-encryption").starts_with("aws:") ||
        !head.header("x-amz-server-side-encryption-customer-algorithm").empty();
    const bool is_plain = head.header("content-encoding").empty();
    is_md5_ = !is_encrypted && is_plain && etag_.size() == kMd5Digits + 2 &&
              from_hex(std::string_view(etag_).substr(1, kMd5Digits)).size() == kMd5Digits / 2;
    return total_ && *total_ > download_.size_max.count() ? too_large() : base::Status();
  }

  base::Status too_large() const {
    const std::string size =
        total_ ? " (" + base::format_byte_count(base::ByteCount(*total_)) + ")" : std::string();
    return base::fail(base::ErrorCode::kLimitExceeded,
                      "the object" + size + " is larger than the limit of " +
                          base::format_byte_count(download_.size_max));
  }

  static std::unexpected<base::Error> protocol(std::string what) {
    return base::fail(base::ErrorCode::kProtocol, std::move(what));
  }

  const Download& download_;
  const Control& control_;
  Hasher sha256_{Hasher::Kind::kSha256};
  Hasher md5_{Hasher::Kind::kMd5};
  std::string etag_;
  std::optional<std::uint64_t> total_;
  bool is_md5_ = false;
  bool has_begun_ = false;
  bool is_head_read_ = false;
  std::uint64_t received_ = 0;
  std::uint64_t skip_ = 0;
};

S3Call next_call(const Download& download, Receiver& receiver) {
  S3Call call{.verb = "get", .method = "GET", .key = download.key};
  if (receiver.received() > 0) {
    call.headers = {{"range", "bytes=" + std::to_string(receiver.received()) + "-"},
                    {"if-match", receiver.etag()}};
  }
  call.sink = [&receiver](const HttpAnswer& head, std::string_view piece) {
    return receiver.take(head, piece);
  };
  return call;
}

}  // namespace

base::Result<ContentDigest> s3_download(S3Session& session, const Download& download,
                                        const Control& control) {
  Receiver receiver(download, control);
  Backoff backoff(session.config().retry, session.clock(), control);
  std::uint64_t before = 0;
  while (true) {
    receiver.expect_answer();
    auto answer = session.send_once(next_call(download, receiver), control);
    const std::string what = "get " + session.describe(download.key);
    if (answer) {
      AIRLOCK_TRY(receiver.read_head(*answer).with_context(what));
      return receiver.finish().with_context(what);
    }
    Failure failure = std::move(answer).error();
    if (failure.code == "PreconditionFailed") {
      failure.error = {base::ErrorCode::kIo, 0, what + ": the object changed while it was read",
                       "whoever writes it has to be done first"};
    }
    // Without an ETag nobody can tell whether the rest belongs to the beginning.
    if (receiver.received() > 0 && receiver.etag().empty()) failure.may_pass = false;
    if (receiver.received() - before >= kProgressBytes) {
      backoff.progressed();
      before = receiver.received();
    }
    AIRLOCK_TRY(backoff.wait_after(failure));
  }
}

}  // namespace airlock::artifact
