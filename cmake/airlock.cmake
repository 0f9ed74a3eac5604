# How targets of this project are made.
#
#   airlock_library(backend/native SOURCES a.cc DEPENDS airlock_jail)   -> airlock_backend_native
#   airlock_test(base SOURCES a_test.cc DEPENDS airlock_base LABELS root) -> airlock_base_test
#   airlock_executable(airlock-jail SOURCES main.cc DEPENDS airlock_jail STATIC)
#   airlock_executable(airlock SOURCES main.cc DEPENDS airlock_cli STATIC_UNLESS_SANITIZED)
#   airlock_executable(airlock-daemon SOURCES main.cc DEPENDS prometheus SHARED_RUNTIME)
#   airlock_fuzzer(wire SOURCES wire_fuzz.cc DEPENDS airlock_jail)      -> wire_fuzz
#
# In a sanitized build every library exists twice: NAME with the sanitizers and NAME_plain without.
# STATIC programs link the plain ones: the runtime of a sanitizer can neither be linked statically
# nor run inside a sandbox. DEPENDS names targets of this project (airlock_*) or imported ones.

# --- the compiler ---------------------------------------------------------------------------------
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    message(FATAL_ERROR
      "GCC ${CMAKE_CXX_COMPILER_VERSION} cannot be trusted with this code: before version 13 it "
      "destroys some temporaries of a co_await expression twice, a double free at run time. "
      "Use clang-19 (cmake --preset release does; on Debian 12: apt-get install clang-19 lld-19).")
  endif()
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 17)
    message(FATAL_ERROR
      "clang ${CMAKE_CXX_COMPILER_VERSION} cannot parse std::expected of libstdc++ 12. "
      "Use clang-19 (cmake --preset release does; on Debian 12: apt-get install clang-19 lld-19).")
  endif()
else()
  message(FATAL_ERROR "Unknown compiler ${CMAKE_CXX_COMPILER_ID}: clang 17+ or GCC 13+ is needed.")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 17)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(airlock_ccache ccache)
if(airlock_ccache)
  # Another clone of this repository finds what this one compiled.
  set(airlock_launcher env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${airlock_ccache})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${airlock_launcher})
  set(CMAKE_C_COMPILER_LAUNCHER ${airlock_launcher})
endif()

set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")

add_compile_options(
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
  -ffunction-sections -fdata-sections -fstack-protector-strong
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(AIRLOCK_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_definitions(_GNU_SOURCE _GLIBCXX_ASSERTIONS)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT AIRLOCK_SANITIZE)
  add_compile_options(-U_FORTIFY_SOURCE)
  add_compile_definitions(_FORTIFY_SOURCE=2)
endif()

add_link_options(LINKER:--gc-sections LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)
find_program(airlock_lld NAMES ld.lld-19 ld.lld)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND airlock_lld)
  add_link_options(-fuse-ld=lld)
endif()

# --- libraries ------------------------------------------------------------------------------------
if(AIRLOCK_SANITIZE)
  set(airlock_sanitizer_options -fsanitize=${AIRLOCK_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
else()
  set(airlock_sanitizer_options)
endif()

function(airlock_target_name result path)
  string(REPLACE "/" "_" name ${path})
  set(${result} airlock_${name} PARENT_SCOPE)
endfunction()

# The names of the variants without sanitizers; imported targets have no such variant.
function(airlock_plain_names result)
  set(names)
  foreach(dependency IN LISTS ARGN)
    if(AIRLOCK_SANITIZE AND dependency MATCHES "^airlock_")
      string(APPEND dependency "_plain")
    endif()
    list(APPEND names ${dependency})
  endforeach()
  set(${result} ${names} PARENT_SCOPE)
endfunction()

function(airlock_add_library target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;OPTIONS")
  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_compile_options(${target} PRIVATE ${arg_OPTIONS})
    target_link_libraries(${target} PUBLIC ${arg_DEPENDS})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} INTERFACE ${arg_DEPENDS})
  endif()
endfunction()

function(airlock_library path)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS")
  airlock_target_name(target ${path})
  airlock_add_library(${target} SOURCES ${arg_SOURCES} DEPENDS ${arg_DEPENDS}
                      OPTIONS ${airlock_sanitizer_options})
  if(AIRLOCK_SANITIZE)
    airlock_plain_names(plain_depends ${arg_DEPENDS})
    airlock_add_library(${target}_plain SOURCES ${arg_SOURCES} DEPENDS ${plain_depends})
    set_target_properties(${target}_plain PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
endfunction()

# Sources of the folder at hand that also run before the C library is ready: no canary, which lies
# in thread-local storage, no calls into the library that the compiler makes up, no sanitizer.
function(airlock_before_libc)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS
    "-fno-stack-protector;-fno-builtin;-fno-sanitize=all;-U_FORTIFY_SOURCE")
endfunction()

# --- programs -------------------------------------------------------------------------------------
# SHARED_RUNTIME: for what links a shared object written in C++. That brings the C++ library with
# it, and a process must not have two.
function(airlock_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "STATIC;STATIC_UNLESS_SANITIZED;SHARED_RUNTIME" ""
                        "SOURCES;DEPENDS")
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
  if(arg_STATIC)
    airlock_plain_names(depends ${arg_DEPENDS})
    target_link_libraries(${name} PRIVATE ${depends})
    target_link_options(${name} PRIVATE -static)
  else()
    target_link_libraries(${name} PRIVATE ${arg_DEPENDS})
    target_compile_options(${name} PRIVATE ${airlock_sanitizer_options})
    target_link_options(${name} PRIVATE ${airlock_sanitizer_options})
    if(arg_STATIC_UNLESS_SANITIZED AND NOT AIRLOCK_SANITIZE)
      # A run takes milliseconds; the dynamic linker alone would take one of them, and the
      # relocations of a static PIE a twentieth of what a whole sandbox takes.
      target_link_options(${name} PRIVATE -static)
    elseif(NOT AIRLOCK_SANITIZE)
      target_link_options(${name} PRIVATE -pie)
      if(NOT arg_SHARED_RUNTIME)
        target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc)
      endif()
    endif()
  endif()
endfunction()

# --- tests ----------------------------------------------------------------------------------------
# A test finds the programs in AIRLOCK_TEST_BIN_DIR and the repository in AIRLOCK_TEST_SOURCE_DIR
# (both string literals). Tests labelled `root` change the host's cgroups and mounts: one at a time.
function(airlock_test path)
  if(AIRLOCK_FUZZ)
    return()
  endif()
  include(GoogleTest)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;DEPENDS;LABELS")
  airlock_target_name(library ${path})
  set(target ${library}_test)
  add_executable(${target} ${arg_SOURCES})
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_definitions(${target} PRIVATE
    AIRLOCK_TEST_BIN_DIR="${CMAKE_BINARY_DIR}/bin" AIRLOCK_TEST_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_compile_options(${target} PRIVATE ${airlock_sanitizer_options})
  target_link_options(${target} PRIVATE ${airlock_sanitizer_options})
  target_link_libraries(${target} PRIVATE ${arg_DEPENDS} GTest::gtest_main Threads::Threads)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set(properties TIMEOUT ${arg_TIMEOUT})
  if("root" IN_LIST arg_LABELS)
    list(APPEND properties RESOURCE_LOCK airlock_host)
  endif()
  if(arg_LABELS)
    list(APPEND properties LABELS "${arg_LABELS}")
  endif()
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST PROPERTIES ${properties})
endfunction()

# Runs on the committed seeds and on what earlier runs in this build folder found.
function(airlock_fuzzer name)
  if(NOT AIRLOCK_FUZZ)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS")
  set(target ${name}_fuzz)
  add_executable(${target} ${arg_SOURCES})
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${target})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_options(${target} PRIVATE ${airlock_sanitizer_options} -fsanitize=fuzzer)
  target_link_options(${target} PRIVATE ${airlock_sanitizer_options} -fsanitize=fuzzer)
  target_link_libraries(${target} PRIVATE ${arg_DEPENDS})
  set(found ${CMAKE_BINARY_DIR}/corpus/${name})
  set(seeds ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  file(MAKE_DIRECTORY ${found})
  math(EXPR timeout "${AIRLOCK_FUZZ_SECONDS} + 120")
  add_test(NAME fuzz.${name}
    COMMAND ${target} -max_total_time=${AIRLOCK_FUZZ_SECONDS} -max_len=65536 -rss_limit_mb=2048
            -timeout=10 -print_final_stats=1 -artifact_prefix=${CMAKE_BINARY_DIR}/crash-${name}-
            ${found} ${seeds})
  set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT ${timeout} LABELS fuzz)
endfunction()
