// Request and Response: one HTTP exchange as values.
//
// A Request has passed the parser: its size is bounded, its headers are well-formed, a body is
// whole. `path` and `query` are as sent, not decoded. Header names compare without case.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace airlock::http {

struct Header {
  std::string name;
  std::string value;
};

struct Request {
  std::string method;  // "GET"
  std::string path;    // "/v1/run"
  std::string query;   // after '?', without it
  std::vector<Header> headers;
  std::string body;
  bool keep_alive = true;  // the client would send another one on this connection
  bool has_chunks = true;  // HTTP/1.1: it understands a body in chunks

  // The value of the first header of that name; empty if there is none.
  std::string_view header(std::string_view name) const;
  std::size_t count_headers(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::vector<Header> headers = {};  // beside content type, length, date and connection
};

bool equals_ignoring_case(std::string_view a, std::string_view b);
// "Not Found"; "Unknown" for what RFC 9110 and 6585 do not name.
std::string_view status_text(int status);

}  // namespace airlock::http
