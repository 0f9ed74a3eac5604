// TcpTransport: a Transport over one accepted TCP socket.
//
// Owns the socket. Small answers leave at once (no Nagle). The file that knows Asio's TCP; what is
// above sees a Transport.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "http/server/transport.h"

namespace airlock::http {

std::shared_ptr<Transport> make_tcp_transport(boost::asio::ip::tcp::socket socket);

}  // namespace airlock::http
