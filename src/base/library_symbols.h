// LibrarySymbols: the functions of a library that was loaded with dlopen, by their names.
//
// The first that is required and not there is remembered, so that an error can name it. Borrows the
// library, which stays loaded. For one thread.
#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <string>
#include <utility>

namespace airlock::base {

class LibrarySymbols {
 public:
  explicit LibrarySymbols(void* library) : library_(library) {}

  // The first of the names that the library has: newer versions come first. `place` is of the type
  // that the library's header gives the function.
  template <typename Function>
  bool find(Function*& place, std::initializer_list<const char*> names) {
    for (const char* const name : names) {
      // Why safe: the type is the caller's promise, above.
      place = reinterpret_cast<Function*>(::dlsym(library_, name));
      if (place != nullptr) return true;
    }
    return false;
  }
  template <typename Function>
  void require(Function*& place, std::initializer_list<const char*> names) {
    if (!find(place, names)) set_missing(*names.begin());
  }
  void set_missing(std::string name) {
    if (missing_.empty()) missing_ = std::move(name);
  }
  const std::string& missing() const { return missing_; }  // empty: nothing is

 private:
  void* library_;
  std::string missing_;
};

}  // namespace airlock::base
