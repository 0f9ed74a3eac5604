// Compression: an answer as its client would have it.
//
// gzip or nothing. What is large is compressed in the background: of the server's thread otherwise.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "http/background.h"
#include "http/server/message.h"

namespace airlock::http {

// Where the client takes gzip and the body is worth it. `response` outlives the wait.
boost::asio::awaitable<void> compress_for(const Request& head, Response& response,
                                          Background& background);

}  // namespace airlock::http
