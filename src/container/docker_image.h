// The image of our containers: one of the operator's, and a layer with our two programs.
//
// Known by the ids of both, made when it is not there, and kept. Also what docker.cc and this have
// in common: how an answer of dockerd's is read. Knows no container but the one that it is made of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "base/result.h"
#include "docker/engine.h"

namespace airlock::container {

// Statuses of the Engine API.
inline constexpr unsigned kOk = 200;
inline constexpr unsigned kCreated = 201;
inline constexpr unsigned kNoContent = 204;
inline constexpr unsigned kNotFound = 404;

// The parts of a workspace that are written to, but for shared memory.
inline constexpr const char* kVolumeParts[] = {"workspace", "tmp", "output", "build"};

// What dockerd said to `what`, as an error.
std::unexpected<base::Error> refused(const std::string& what, const docker::Answer& answer);
// The member `name` of an object, or null.
const boost::json::value* member(const boost::json::value& value, std::string_view name);
// An answer that is an array, or the array that is its member `name`; else nothing. As long as it.
std::span<const boost::json::value> list_in(const base::Result<docker::Answer>& answer,
                                            std::string_view name = {});
// The member `name`, if `value` is an object that has it as a string; else empty.
std::string text_of(const boost::json::value& value, std::string_view name);
// "filters=...", encoded, of a list that is asked for.
std::string filter(std::string_view name, std::string_view value);
// Tells names apart, and keeps nobody out.
std::string short_hash(std::string_view text);

struct Image {
  std::string base_id;  // of what the operator named
  std::string name;     // of the one with our programs
  // "NAME=value", for programs; at most kImageVariablesMax, of kImageVariablesBytesMax together.
  std::vector<std::string> environment;
};
inline constexpr std::size_t kImageVariablesMax = 256;
inline constexpr std::size_t kImageVariablesBytesMax = 32 * 1024;

// `base` is what the operator named, `programs` the folder of airlock-link and airlock-init;
// `known` is what was found before, if anything. kNotFound: the image is not there, or is none that
// we take.
base::Result<Image> find_image(const docker::Engine& engine, const std::string& base,
                               const std::string& programs, const Image* known = nullptr);

// Has dockerd pull an image beforehand: a registry may be slow, or hang.
class ImagePuller {
 public:
  // If dockerd lacks it or, with `always`, once in any case.
  ImagePuller(std::string socket, std::string image, bool always);
  // Blocks for as long as it takes. What fails is tried again by the next one; why is said on
  // stderr when that is news.
  void try_it();

 private:
  std::string socket_;
  std::string image_;
  bool always_;
  std::string complaint_;  // that was told
};

// Removes what was left of making images: old containers, and images that have lost their name.
void sweep_images(const docker::Engine& engine);

}  // namespace airlock::container
