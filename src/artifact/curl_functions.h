// CurlFunctions: the functions of libcurl that are used, loaded when a request needs them.
//
// Airlock is not linked with libcurl: with some 28 libraries of its own it takes 4 MiB of a service
// that may never move a file over the network. The types are those of curl.h. The library stays
// loaded until the process ends; loading it again gives the same functions. They may be called
// from any thread, with a handle by one at a time. Values.
#pragma once

#include <curl/curl.h>

#include "base/result.h"

namespace airlock::artifact {

inline constexpr const char* kCurlLibrary = "libcurl.so.4";

struct CurlFunctions {
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_reset) easy_reset = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_perform) easy_perform = nullptr;
  decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_multi_init) multi_init = nullptr;
  decltype(&::curl_multi_add_handle) multi_add_handle = nullptr;
  decltype(&::curl_multi_remove_handle) multi_remove_handle = nullptr;
  decltype(&::curl_multi_perform) multi_perform = nullptr;
  decltype(&::curl_multi_poll) multi_poll = nullptr;
  decltype(&::curl_multi_info_read) multi_info_read = nullptr;
  decltype(&::curl_multi_cleanup) multi_cleanup = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
  decltype(&::curl_getdate) getdate = nullptr;
};

// `library` as dlopen takes it. kUnavailable: there is no such library, it is too old or
// lacks a function, or it cannot begin.
base::Result<CurlFunctions> load_curl(const char* library = kCurlLibrary);

}  // namespace airlock::artifact
