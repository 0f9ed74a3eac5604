#include "egress/client_hello.h"

#include <gtest/gtest.h>

namespace airlock::egress {
namespace {

std::string number(std::size_t value, int size) {
  std::string text;
  for (int i = size - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}
std::string vector(const std::string& bytes, int size) {
  return number(bytes.size(), size) + bytes;
}

std::string extension(std::size_t type, const std::string& data) {
  return number(type, 2) + vector(data, 2);
}
std::string server_name(const std::string& name) {
  return extension(0, vector(number(0, 1) + vector(name, 2), 2));
}
std::string handshake(const std::string& extensions) {
  const std::string body = number(0x0303, 2) + std::string(32, 'r') + vector("", 1) +
                           vector(number(0x1301, 2), 2) + vector(number(0, 1), 1) +
                           vector(extensions, 2);
  return number(1, 1) + vector(body, 3);
}
std::string record(const std::string& content) { return "\x16\x03\x01" + vector(content, 2); }
std::string hello(const std::string& extensions) { return record(handshake(extensions)); }

Hello read_client_hello(const std::string& bytes) { return ClientHelloReader().read(bytes); }
HelloKind kind_of(const std::string& bytes) { return read_client_hello(bytes).kind; }

TEST(ClientHello, TellsTheHostThatIsMeant) {
  const Hello found = read_client_hello(
      hello(extension(10, "abcd") + server_name("Example.com") + extension(43, "")));
  EXPECT_EQ(found.kind, HelloKind::kName);
  EXPECT_EQ(found.name, "example.com");
}

TEST(ClientHello, IsReadAcrossRecordsAndWaitsForAllOfIt) {
  const std::string message = handshake(server_name("example.com"));
  for (std::size_t cut = 1; cut < message.size(); ++cut) {
    const std::string bytes = record(message.substr(0, cut)) + record(message.substr(cut));
    EXPECT_EQ(read_client_hello(bytes).name, "example.com");
    for (const std::size_t size : {std::size_t{1}, cut, bytes.size() - 1}) {
      EXPECT_EQ(kind_of(bytes.substr(0, size)), HelloKind::kIncomplete) << cut << " " << size;
    }
  }
}

TEST(ClientHello, InPiecesIsWhatItIsInOne) {
  const std::string message = handshake(extension(10, "abcd") + server_name("example.com"));
  std::string bytes;
  for (const char c : message) bytes += record(std::string(1, c));
  for (const std::size_t piece : {1, 2, 5, 6, 7, 100}) {
    ClientHelloReader reader;
    for (std::size_t size = piece; size < bytes.size(); size += piece) {
      ASSERT_EQ(reader.read(bytes.substr(0, size)).kind, HelloKind::kIncomplete) << size;
    }
    EXPECT_EQ(reader.read(bytes).name, "example.com") << piece;
  }
}

// A client that sends its hello byte by byte makes each of them cost the same: what came before
// need not even be there any more.
TEST(ClientHello, WhatWasSeenIsNotLookedAtAgain) {
  const std::string bytes = hello(server_name("example.com"));
  ClientHelloReader reader;
  ASSERT_EQ(reader.read(bytes.substr(0, 20)).kind, HelloKind::kIncomplete);
  EXPECT_EQ(reader.read(std::string(20, 'x') + bytes.substr(20)).name, "example.com");
}

TEST(ClientHello, WithoutANameSaysSo) {
  EXPECT_EQ(kind_of(hello("")), HelloKind::kNoName);
  EXPECT_EQ(kind_of(hello(extension(10, "abcd"))), HelloKind::kNoName);
}

TEST(ClientHello, OfWhatIsNotTlsSaysSo) {
  for (const char* text : {"GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\x80\x2e\x01", "\x16\x02\x01"}) {
    EXPECT_EQ(kind_of(text), HelloKind::kNotTls) << text;
  }
}

TEST(ClientHello, ThatIsBrokenIsNeverTakenForOne) {
  const std::string name = server_name("example.com");
  for (const std::string& bytes :
       {hello(name + server_name("example.com")),  // twice
        hello(extension(0, vector("", 2))),        // an empty list
        hello(extension(0, "")),                   // no list
        hello(extension(
            0, vector(number(0, 1) + vector("a.b", 2) + number(0, 1) + vector("c.d", 2), 2))),
        hello(extension(0, vector(number(1, 1) + vector("a.b", 2), 2))),  // another type
        hello(server_name("127.0.0.1")), hello(server_name("a.b.")), hello(server_name("")),
        hello(server_name(std::string("a\0.b", 4))),
        hello(name).substr(0, 5) + "\x02" + hello(name).substr(6),
        hello(name.substr(0, name.size() - 1)),  // cut off inside
        record(handshake(name) + "more"), record(""), std::string("\x16\x03\x01\xff\xff", 5),
        record(number(1, 1) + number(0x100000, 3)),
        record(handshake(name).substr(0, 8)) + "\x17\x03\x03"}) {
    EXPECT_EQ(kind_of(bytes), HelloKind::kBroken);
  }
}

}  // namespace
}  // namespace airlock::egress
