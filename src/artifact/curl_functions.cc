#include "artifact/curl_functions.h"

#include <dlfcn.h>

#include <string>

#include "base/library_symbols.h"

namespace airlock::artifact {
namespace {

constexpr const char* kHint =
    "install libcurl 7.85 or later, with TLS (on Debian: apt-get install libcurl4); after an "
    "upgrade of it, or of OpenSSL, restart the service";
constexpr unsigned kVersionMin = 0x075500;  // 7.85: CURLOPT_PROTOCOLS_STR

void find_all(base::LibrarySymbols& symbols, CurlFunctions& curl) {
  symbols.require(curl.easy_init, {"curl_easy_init"});
  symbols.require(curl.easy_reset, {"curl_easy_reset"});
  symbols.require(curl.easy_setopt, {"curl_easy_setopt"});
  symbols.require(curl.easy_perform, {"curl_easy_perform"});
  symbols.require(curl.easy_getinfo, {"curl_easy_getinfo"});
  symbols.require(curl.easy_strerror, {"curl_easy_strerror"});
  symbols.require(curl.easy_cleanup, {"curl_easy_cleanup"});
  symbols.require(curl.multi_init, {"curl_multi_init"});
  symbols.require(curl.multi_add_handle, {"curl_multi_add_handle"});
  symbols.require(curl.multi_remove_handle, {"curl_multi_remove_handle"});
  symbols.require(curl.multi_perform, {"curl_multi_perform"});
  symbols.require(curl.multi_poll, {"curl_multi_poll"});
  symbols.require(curl.multi_info_read, {"curl_multi_info_read"});
  symbols.require(curl.multi_cleanup, {"curl_multi_cleanup"});
  symbols.require(curl.slist_append, {"curl_slist_append"});
  symbols.require(curl.slist_free_all, {"curl_slist_free_all"});
  symbols.require(curl.getdate, {"curl_getdate"});
}

std::unexpected<base::Error> unusable(std::string why) {
  return base::fail(base::ErrorCode::kUnavailable, "libcurl cannot be used: " + std::move(why),
                    kHint);
}

}  // namespace

base::Result<CurlFunctions> load_curl(const char* library) {
  void* const loaded = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) {
    const char* const why = ::dlerror();
    return unusable(why == nullptr ? library : why);
  }
  CurlFunctions curl;
  base::LibrarySymbols symbols(loaded);
  find_all(symbols, curl);
  decltype(&::curl_global_init) global_init = nullptr;
  decltype(&::curl_version_info) version_info = nullptr;
  symbols.require(global_init, {"curl_global_init"});
  symbols.require(version_info, {"curl_version_info"});
  if (!symbols.missing().empty()) {
    return unusable(std::string(library) + " lacks " + symbols.missing());
  }
  const curl_version_info_data& version = *version_info(CURLVERSION_NOW);
  if (version.version_num < kVersionMin || (version.features & CURL_VERSION_SSL) == 0) {
    return unusable(std::string("it is ") + version.version +
                    ((version.features & CURL_VERSION_SSL) == 0 ? ", without TLS" : ""));
  }
  // Once for the process, by whoever comes first; it is never taken down.
  static const CURLcode initialised = global_init(CURL_GLOBAL_DEFAULT);
  if (initialised != CURLE_OK) return unusable(curl.easy_strerror(initialised));
  return curl;
}

}  // namespace airlock::artifact
