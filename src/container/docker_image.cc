#include "container/docker_image.h"

#include <fcntl.h>
#include <unistd.h>
#include <boost/json.hpp>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/unique_fd.h"
#include "container/runtime.h"
#include "container/tar.h"
#include "sys/files.h"

namespace airlock::container {
namespace {

namespace json = boost::json;
using base::UniqueFd;
using docker::Answer;
using docker::Engine;

constexpr const char* kImageName = "airlock-run";

base::Result<std::string> read_program(const std::string& path) {
  AIRLOCK_ASSIGN(const UniqueFd file, sys::open_at(AT_FDCWD, path.c_str(), O_RDONLY));
  std::string text;
  char chunk[64 * 1024];
  for (ssize_t count = 0; (count = read(file.get(), chunk, sizeof chunk)) > 0;) {
    text.append(chunk, static_cast<std::size_t>(count));
  }
  return text;
}

struct Layer {
  std::string tar;
  std::string stamp;
};

// The programs, and the places that a workspace's parts are mounted at: a new volume has owner and
// mode of what the image has there.
base::Result<Layer> make_layer(const std::string& programs) {
  Layer layer;
  const auto add = [&](const TarEntry& entry, std::string_view content) -> base::Status {
    AIRLOCK_ASSIGN(const std::string head, tar_head(entry));
    layer.tar += head;
    layer.tar.append(content);
    layer.tar += tar_padding(content.size());
    return {};
  };
  const std::string folder(std::string(kProgramsFolder).substr(1));
  AIRLOCK_TRY(add({.path = folder + "/", .is_folder = true, .mode = 0755}, {}));
  for (const char* name : {"airlock-link", "airlock-init"}) {
    AIRLOCK_ASSIGN(const std::string program, read_program(programs + "/" + name));
    AIRLOCK_TRY(add({.path = folder + "/" + name, .mode = 0755, .size = program.size()}, program));
  }
  for (const char* part : kVolumeParts) {
    const bool is_tmp = std::strcmp(part, "tmp") == 0;
    AIRLOCK_TRY(add({.path = std::string(part) + "/",
                     .is_folder = true,
                     .mode = is_tmp ? 01777u : 0755u,
                     .owner = is_tmp ? 0 : kNobody},
                    {}));
  }
  AIRLOCK_TRY(add({.path = "input/", .is_folder = true, .mode = 0755}, {}));
  layer.tar += tar_end();
  layer.stamp = short_hash(layer.tar);
  return layer;
}

// By a container that never starts: its root plus the layer, kept under a name that tells of both.
base::Result<std::string> make_image(const Engine& engine, const std::string& base_id,
                                     const Layer& layer, const std::string& name) {
  const json::object plan = {{"Image", base_id}, {"Entrypoint", {"/none"}}, {"Cmd", json::array{}}};
  AIRLOCK_ASSIGN(const Answer made, engine.post("/containers/create", plan));
  if (made.status != kCreated) return refused("prepare an image", made);
  const std::string id = text_of(made.body, "Id");
  const auto put = engine.put_tar("/containers/" + id + "/archive?path=/", layer.tar);
  base::Result<std::string> image = base::fail(base::ErrorCode::kUnavailable, "");
  if (put && put->status == kOk) {
    const std::size_t colon = name.find(':');
    const auto kept = engine.post("/commit?container=" + id + "&repo=" + name.substr(0, colon) +
                                  "&tag=" + name.substr(colon + 1));
    if (!kept) {
      image = base::fail(kept.error());
    } else if (kept->status == kCreated) {
      image = text_of(kept->body, "Id");
    } else {
      image = refused("keep an image", *kept);
    }
  } else if (put) {
    image = refused("add to an image", *put);
  } else {
    image = base::fail(put.error());
  }
  (void)engine.remove("/containers/" + id + "?force=1&v=1");
  return image;
}

}  // namespace

// FNV-1a, as everywhere where a name is to differ and nobody is to be kept out.
std::string short_hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char byte : text) {
    value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  char digits[20];
  std::snprintf(digits, sizeof digits, "%016lx", static_cast<unsigned long>(value));
  return std::string(digits, 12);
}

std::unexpected<base::Error> refused(const std::string& what, const Answer& answer) {
  return base::fail(base::ErrorCode::kUnavailable, "Docker: " + what + ": " + answer.message());
}

std::string text_of(const json::value& value, std::string_view name) {
  const json::object* const object = value.if_object();
  const json::value* const found = object != nullptr ? object->if_contains(name) : nullptr;
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : std::string();
}

base::Result<std::string> find_image(const Engine& engine, const std::string& base,
                                     const std::string& programs) {
  AIRLOCK_ASSIGN(const Answer found, engine.get("/images/" + base + "/json"));
  if (found.status == kNotFound) {
    return base::fail(base::ErrorCode::kUnavailable, "Docker has no image " + base,
                      "pull or import one, or name another by execution.docker_image");
  }
  if (found.status != kOk) return refused("look for " + base, found);
  const std::string base_id = text_of(found.body, "Id");
  AIRLOCK_ASSIGN(const Layer layer, make_layer(programs));
  const std::string name = std::string(kImageName) + ":" + short_hash(base_id) + "-" + layer.stamp;
  AIRLOCK_ASSIGN(const Answer made, engine.get("/images/" + name + "/json"));
  if (made.status == kOk) return text_of(made.body, "Id");
  return make_image(engine, base_id, layer, name);
}

}  // namespace airlock::container
