#include "egress/http_head.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/ascii.h"

namespace airlock::egress {
namespace {

constexpr std::uint64_t kLengthMax = std::uint64_t{1} << 53;
constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kScheme = "http://";
constexpr std::uint16_t kHttpPort = 80;

std::unexpected<HeadError> refuse(std::string text, int status = 400) {
  return std::unexpected(HeadError{status, std::move(text)});
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (base::ascii_lower(c) >= 'a' && base::ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

// What may stand in a value: no control characters but tabs.
bool is_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

// The first line and the fields of a head whose lines are known to end properly.
struct Parts {
  std::string_view line;
  std::vector<Field> fields;
};

HeadResult<Parts> split(std::string_view head) {
  Parts parts;
  const std::size_t end = head.find("\r\n");
  parts.line = head.substr(0, end);
  std::string_view rest = head.substr(end + 2);
  while (!rest.starts_with("\r\n")) {
    const std::size_t line_end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, line_end);
    rest.remove_prefix(line_end + 2);
    if (parts.fields.size() == kFieldsMax) return refuse("too many header fields", 431);
    if (line.starts_with(' ') || line.starts_with('\t')) return refuse("a folded header line");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return refuse("a header line that is no field");
    }
    const std::string_view value = base::trimmed(line.substr(colon + 1), kBlanks);
    if (!is_value(value)) return refuse("a control character in a header field");
    parts.fields.push_back({std::string(line.substr(0, colon)), std::string(value)});
  }
  return parts;
}

// Words of a list such as that of Connection.
std::vector<std::string> list_of(const std::vector<Field>& fields, std::string_view name) {
  std::vector<std::string> words;
  for (const Field& field : fields) {
    if (!base::equal_ignoring_case(field.name, name)) continue;
    std::string_view rest = field.value;
    while (true) {
      const std::size_t comma = rest.find(',');
      const std::string_view word = base::trimmed(rest.substr(0, comma), kBlanks);
      if (!word.empty()) words.emplace_back(word);
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return words;
}

bool lists(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::any_of(
      words, [&](const std::string& each) { return base::equal_ignoring_case(each, word); });
}

// Between us and one neighbour, and not for the other.
constexpr std::string_view kHopByHop[] = {"Connection",
                                          "Keep-Alive",
                                          "Proxy-Connection",
                                          "Proxy-Authenticate",
                                          "TE",
                                          "Proxy-Authorization",
                                          "Transfer-Encoding",
                                          "Trailer",
                                          "Upgrade",
                                          "Proxy-Authentication-Info"};
// What a Connection field must not take away from the message.
constexpr std::string_view kEndToEnd[] = {"Host", "Content-Length", "Authorization", "Cookie",
                                          "Content-Type"};

HeadResult<std::vector<Field>> end_to_end_fields(std::vector<Field> fields) {
  const std::vector<std::string> connection = list_of(fields, "Connection");
  for (const std::string_view name : kEndToEnd) {
    if (lists(connection, name))
      return refuse("a Connection field that names " + std::string(name));
  }
  std::erase_if(fields, [&](const Field& field) {
    const auto is_field = [&](std::string_view name) {
      return base::equal_ignoring_case(field.name, name);
    };
    return std::ranges::any_of(kHopByHop, is_field) || lists(connection, field.name);
  });
  return fields;
}

HeadResult<std::optional<BodyFraming>> framing_of(const std::vector<Field>& fields) {
  std::optional<BodyFraming> framing;
  for (const Field& field : fields) {
    if (base::equal_ignoring_case(field.name, "Transfer-Encoding")) {
      if (framing) return refuse("more than one length of the body");
      if (!base::equal_ignoring_case(field.value, "chunked"))
        return refuse("a Transfer-Encoding other than chunked");
      framing = {BodyKind::kChunked, 0};
    } else if (base::equal_ignoring_case(field.name, "Content-Length")) {
      if (framing) return refuse("more than one length of the body");
      std::uint64_t length = 0;
      const char* const last = field.value.data() + field.value.size();
      const auto parsed = std::from_chars(field.value.data(), last, length);
      const bool digits = !field.value.empty() && field.value[0] != '-';
      if (!digits || parsed.ec != std::errc() || parsed.ptr != last || length > kLengthMax) {
        return refuse("a Content-Length that is no number");
      }
      framing = {BodyKind::kLength, length};
    }
  }
  return framing;
}

std::optional<int> minor_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  return std::nullopt;
}

struct Uri {
  Destination destination;
  std::string path;
};

HeadResult<Uri> parse_uri(std::string_view target) {
  if (target.starts_with('/') || target == "*") {
    return refuse("this is a proxy: it needs a whole URI, such as http://example.com/");
  }
  if (target.size() > 8 && base::equal_ignoring_case(target.substr(0, 8), "https://")) {
    return refuse("https through a proxy needs CONNECT");
  }
  if (target.size() <= kScheme.size() ||
      !base::equal_ignoring_case(target.substr(0, kScheme.size()), kScheme)) {
    return refuse("a URI that is not http://");
  }
  std::string_view rest = target.substr(kScheme.size());
  const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, end);
  if (authority.find('@') != std::string_view::npos) return refuse("a URI with a user name");
  if (rest.find('#') != std::string_view::npos) return refuse("a URI with a fragment");
  const auto destination = parse_destination(authority, kHttpPort);
  if (!destination) return refuse("a URI without a host that could be one");
  Uri uri{*destination, std::string(rest.substr(end))};
  if (!uri.path.starts_with('/')) uri.path.insert(0, "/");
  return uri;
}

// Exactly one, and the same place as the URI's.
HeadResult<void> check_host(const RequestHead& head, const std::vector<Field>& fields) {
  const auto is_host = [](const Field& field) {
    return base::equal_ignoring_case(field.name, "Host");
  };
  const auto count = std::ranges::count_if(fields, is_host);
  if (count > 1) return refuse("more than one Host");
  if (count == 0) {
    if (head.minor == 0 || head.is_connect) return {};
    return refuse("no Host");
  }
  const std::string& value = std::ranges::find_if(fields, is_host)->value;
  // Some leave the port out of a CONNECT's.
  const std::uint16_t assumed = head.is_connect ? head.destination.port : kHttpPort;
  if (parse_destination(value, assumed) != head.destination) {
    return refuse("a Host that differs from the URI's");
  }
  return {};
}

HeadResult<void> take_target(RequestHead& head, std::string_view target) {
  const auto visible = [](char c) { return c > ' ' && c < 0x7f; };
  if (!std::ranges::all_of(target, visible)) return refuse("a URI with forbidden characters");
  if (head.is_connect) {
    const auto destination = parse_destination(target, 0);
    if (!destination) return refuse("a CONNECT to something that is no host:port");
    head.destination = *destination;
    return {};
  }
  auto uri = parse_uri(target);
  if (!uri) return std::unexpected(std::move(uri).error());
  head.destination = std::move(uri->destination);
  head.path = std::move(uri->path);
  return {};
}

HeadResult<void> take_framing(RequestHead& head, const std::vector<Field>& fields) {
  auto framing = framing_of(fields);
  if (!framing) return std::unexpected(std::move(framing).error());
  head.body = framing->value_or(BodyFraming{});
  if (head.minor == 0 && head.body.kind == BodyKind::kChunked) return refuse("chunks in HTTP/1.0");
  const bool has_body = head.body.kind == BodyKind::kChunked || head.body.length > 0;
  if (head.is_connect && has_body) return refuse("a CONNECT with a body");
  return {};
}

void write_fields(std::string& text, const std::vector<Field>& fields) {
  for (const Field& field : fields) text += field.name + ": " + field.value + "\r\n";
}

}  // namespace

HeadResult<std::size_t> find_head_end(std::string_view bytes, HeadScan& scan) {
  const std::string_view within = bytes.substr(0, kHeadBytesMax);
  for (; scan.at < within.size(); ++scan.at) {
    const char c = within[scan.at];
    if (c == '\n') return refuse("a line that ends with LF alone");
    if (c == '\0') return refuse("a NUL in the head");
    if (c != '\r') {
      scan.empty_line = false;
      continue;
    }
    if (scan.at + 1 == within.size()) break;
    if (within[scan.at + 1] != '\n') return refuse("a CR inside of a line");
    ++scan.at;
    if (scan.empty_line) {
      if (scan.at == 1) return refuse("an empty line before the head");
      return scan.at + 1;
    }
    scan.empty_line = true;
  }
  if (bytes.size() >= kHeadBytesMax) return refuse("a head that is too long", 431);
  return 0;
}

HeadResult<RequestHead> parse_request_head(std::string_view bytes) {
  auto parts = split(bytes);
  if (!parts) return std::unexpected(std::move(parts).error());
  const std::size_t first = parts->line.find(' ');
  const std::size_t second = parts->line.rfind(' ');
  if (first == std::string_view::npos || first == second) return refuse("no request line");
  RequestHead head;
  head.method = parts->line.substr(0, first);
  if (!is_token(head.method)) return refuse("a method that is none");
  const auto minor = minor_version(parts->line.substr(second + 1));
  if (!minor) return refuse("a version other than HTTP/1.1 and 1.0", 505);
  head.minor = *minor;
  head.is_connect = head.method == "CONNECT";
  if (auto taken = take_target(head, parts->line.substr(first + 1, second - first - 1)); !taken) {
    return std::unexpected(std::move(taken).error());
  }
  if (auto host = check_host(head, parts->fields); !host) {
    return std::unexpected(std::move(host).error());
  }
  if (auto framing = take_framing(head, parts->fields); !framing) {
    return std::unexpected(std::move(framing).error());
  }
  std::vector<std::string> connection = list_of(parts->fields, "Connection");
  for (std::string& word : list_of(parts->fields, "Proxy-Connection")) {
    connection.push_back(std::move(word));
  }
  head.keep_alive = !lists(connection, "close") && (*minor == 1 || lists(connection, "keep-alive"));
  auto fields = end_to_end_fields(std::move(parts->fields));
  if (!fields) return std::unexpected(std::move(fields).error());
  std::erase_if(*fields,
                [](const Field& field) { return base::equal_ignoring_case(field.name, "Host"); });
  head.fields = std::move(*fields);
  return head;
}

HeadResult<ResponseHead> parse_response_head(std::string_view bytes, bool answers_head_request) {
  auto parts = split(bytes);
  if (!parts) return std::unexpected(std::move(parts).error());
  const std::string_view line = parts->line;
  ResponseHead head;
  const bool shaped = line.size() >= 12 && minor_version(line.substr(0, 8)) && line[8] == ' ' &&
                      (line.size() == 12 || line[12] == ' ');
  const auto parsed = shaped ? std::from_chars(line.data() + 9, line.data() + 12, head.status)
                             : std::from_chars_result{nullptr, std::errc::invalid_argument};
  if (parsed.ec != std::errc() || parsed.ptr != line.data() + 12 || head.status < 100) {
    return refuse("an answer without a status line", 502);
  }
  head.reason = line.size() > 13 ? line.substr(13) : "";
  if (!is_value(head.reason)) return refuse("a control character in the status line", 502);
  auto framing = framing_of(parts->fields);
  if (!framing) return refuse("an answer with " + framing.error().text, 502);
  head.body = framing->value_or(BodyFraming{BodyKind::kUntilClose, 0});
  const bool bodiless = head.status < 200 || head.status == 204 || head.status == 304;
  if (answers_head_request || bodiless) head.body = {};
  const bool chunked = framing->has_value() && (*framing)->kind == BodyKind::kChunked;
  auto fields = end_to_end_fields(std::move(parts->fields));
  if (!fields) return refuse("an answer with " + fields.error().text, 502);
  head.fields = std::move(*fields);
  if (chunked) head.fields.push_back({"Transfer-Encoding", "chunked"});
  return head;
}

std::string write_request_head(const RequestHead& head) {
  const std::string authority = head.destination.to_string();
  const std::size_t port = authority.rfind(':');
  const bool usual = head.destination.port == kHttpPort;
  std::string text = head.method + " " + head.path + " HTTP/1." + std::to_string(head.minor) +
                     "\r\nHost: " + (usual ? authority.substr(0, port) : authority) + "\r\n";
  write_fields(text, head.fields);
  if (head.body.kind == BodyKind::kChunked) text += "Transfer-Encoding: chunked\r\n";
  return text + "Connection: close\r\n\r\n";
}

std::string write_response_head(const ResponseHead& head, bool keep_alive) {
  std::string text = "HTTP/1.1 " + std::to_string(head.status) + " " + head.reason + "\r\n";
  write_fields(text, head.fields);
  if (head.status >= 200)
    text += keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  return text + "\r\n";
}

}  // namespace airlock::egress
