// The fields of messages (wire.h): how values, strings, blobs and lists lie in a packet.
//
// Writer and Reader check every length and allocate nothing; what a Reader gives borrows the
// packet. A failure sticks: it is asked for once, at the end. Strings carry a trailing NUL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace airlock::jail {

inline constexpr std::size_t kListEntriesMax = 4096;

// A list of NUL-terminated strings inside a packet.
class StringList {
 public:
  StringList() = default;
  StringList(const char* bytes, std::size_t size, std::uint32_t count)
      : bytes_(bytes), size_(size), count_(count) {}
  std::uint32_t count() const { return count_; }
  std::string_view bytes() const { return {bytes_, size_}; }
  template <typename Visitor>
  void for_each(Visitor&& visitor) const {
    const char* at = bytes_;
    for (std::uint32_t i = 0; i < count_; ++i) {
      const std::size_t length = std::strlen(at);
      visitor(std::string_view(at, length));
      at += length + 1;
    }
  }

 private:
  const char* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::uint32_t count_ = 0;
};

// Bytes of any value, unlike a string.
struct Blob {
  const char* data = nullptr;
  std::size_t size = 0;
};

class Writer {
 public:
  explicit Writer(std::span<char> buffer) : buffer_(buffer) {}

  bool ok() const { return ok_; }
  std::string_view written() const { return {buffer_.data(), used_}; }

  template <typename... Fields>
    requires(sizeof...(Fields) > 1)
  void operator()(const Fields&... fields) {
    ((*this)(fields), ...);
  }
  template <typename T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  void operator()(const T& value) {
    put(&value, sizeof value);
  }
  void operator()(const std::string_view& text) {
    const auto size = static_cast<std::uint32_t>(text.size());
    (*this)(size);
    put(text.data(), text.size());
    put("", 1);
    if (text.find('\0') != std::string_view::npos) ok_ = false;
  }
  void operator()(const Blob& blob) {
    (*this)(static_cast<std::uint32_t>(blob.size));
    put(blob.data, blob.size);
  }
  void operator()(const StringList& list) {
    (*this)(list.count());
    (*this)(static_cast<std::uint32_t>(list.bytes().size()));
    put(list.bytes().data(), list.bytes().size());
  }
  void put(const void* data, std::size_t size) {
    if (size > buffer_.size() - used_) ok_ = false;
    if (!ok_ || size == 0) return;
    std::memcpy(buffer_.data() + used_, data, size);
    used_ += size;
  }

 private:
  std::span<char> buffer_;
  std::size_t used_ = 0;
  bool ok_ = true;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  // Everything was read, in bounds, and nothing is left over.
  bool complete() const { return ok_ && rest_.empty(); }

  template <typename... Fields>
    requires(sizeof...(Fields) > 1)
  void operator()(Fields&... fields) {
    ((*this)(fields), ...);
  }
  template <typename T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  void operator()(T& value) {
    const char* data = take(sizeof value);
    if (data != nullptr) std::memcpy(&value, data, sizeof value);
  }
  void operator()(bool& value) {
    std::uint8_t byte = 0;
    (*this)(byte);
    if (byte > 1) ok_ = false;
    value = byte == 1;
  }
  void operator()(std::string_view& text) {
    std::uint32_t size = 0;
    (*this)(size);
    const char* data = take(static_cast<std::size_t>(size) + 1);
    if (data == nullptr) return;
    text = {data, size};
    if (data[size] != '\0' || text.find('\0') != std::string_view::npos) ok_ = false;
  }
  void operator()(Blob& blob) {
    std::uint32_t size = 0;
    (*this)(size);
    blob.data = take(size);
    blob.size = blob.data != nullptr ? size : 0;
  }
  void operator()(StringList& list) {
    std::uint32_t count = 0;
    std::uint32_t size = 0;
    (*this)(count);
    (*this)(size);
    const char* data = take(size);
    if (data == nullptr) return;
    std::size_t ends = 0;
    for (std::uint32_t i = 0; i < size; ++i) ends += data[i] == '\0' ? 1 : 0;
    if (count > kListEntriesMax || ends != count || (size > 0 && data[size - 1] != '\0')) {
      ok_ = false;
      return;
    }
    list = StringList(data, size, count);
  }

 private:
  const char* take(std::size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return nullptr;
    }
    const char* data = rest_.data();
    rest_.remove_prefix(size);
    return data;
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace airlock::jail
