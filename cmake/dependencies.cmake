# The libraries that Airlock stands on, as targets: yaml-cpp, Boost::json, CLI11::CLI11, seccomp,
# zlib, cares, sqlite3, crypto, sodium, curl_headers, prometheus, GTest::gtest_main. Archives are
# preferred to shared objects: a command line tool that lives for milliseconds should not spend
# them in the dynamic linker.

set(airlock_install_hint "On Debian 12, ./dev build installs everything that is needed.")

set(Boost_USE_STATIC_LIBS ON)
find_package(Boost 1.81 CONFIG COMPONENTS json)
if(NOT Boost_FOUND)
  message(FATAL_ERROR
    "Boost 1.81 or newer with Boost.JSON is not installed. ${airlock_install_hint}")
endif()

find_package(CLI11 CONFIG)
if(NOT CLI11_FOUND)
  message(FATAL_ERROR "CLI11 is not installed. ${airlock_install_hint}")
endif()

find_package(Threads REQUIRED)

# An imported target of an archive if there is one, else of the shared object.
function(airlock_import target archive shared header)
  find_library(airlock_${target}_library NAMES ${archive} ${shared})
  find_path(airlock_${target}_include ${header})
  if(NOT airlock_${target}_library OR NOT airlock_${target}_include)
    message(FATAL_ERROR "${target} is not installed. ${airlock_install_hint}")
  endif()
  add_library(${target} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES
    IMPORTED_LOCATION ${airlock_${target}_library}
    INTERFACE_INCLUDE_DIRECTORIES ${airlock_${target}_include})
endfunction()
airlock_import(yaml-cpp libyaml-cpp.a yaml-cpp yaml-cpp/yaml.h)
airlock_import(seccomp libseccomp.a seccomp seccomp.h)
airlock_import(zlib libz.a z zlib.h)
unset(airlock_cares_library CACHE)  # a build folder may remember the shared object
airlock_import(cares libcares.a cares ares.h)
# Only for what `airlock` executes and is not itself (docs/adr/0013-jobs.md): shared objects, which
# Debian's updates reach. libcurl brings a libcrypto, too, and a process must not have two.
airlock_import(sqlite3 sqlite3 sqlite3 sqlite3.h)
airlock_import(crypto crypto crypto openssl/evp.h)
airlock_import(sodium sodium sodium sodium.h)
# libcurl is loaded by whoever needs it (src/artifact/curl_functions.h), and never linked.
find_path(airlock_curl_include curl/curl.h)
if(NOT airlock_curl_include)
  message(FATAL_ERROR "libcurl is not installed. ${airlock_install_hint}")
endif()
add_library(curl_headers INTERFACE IMPORTED GLOBAL)
set_target_properties(curl_headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${airlock_curl_include})
# The core of prometheus-cpp, without its web server. Debian has no archive of it.
airlock_import(prometheus prometheus-cpp-core prometheus-cpp-core prometheus/registry.h)

if(NOT AIRLOCK_FUZZ)
  find_package(GTest)
  if(NOT GTest_FOUND)
    message(FATAL_ERROR "GoogleTest is not installed. ${airlock_install_hint}")
  endif()
endif()
