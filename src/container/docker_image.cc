#include "container/docker_image.h"

#include <fcntl.h>
#include <unistd.h>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
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
constexpr const char* kImageLabel = "airlock.image";
// Of each step of a pull, in which dockerd tells how far it is; and of a layer that it unpacks.
constexpr std::chrono::minutes kPullTimeout{30};
// Making one takes seconds: what is older belongs to nobody who lives.
constexpr std::int64_t kMakingSecondsMax = 600;

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
  const json::object plan = {{"Image", base_id},
                             {"Entrypoint", {"/none"}},
                             {"Cmd", json::array{}},
                             {"Labels", {{kImageLabel, "1"}}}};  // the image has it, too
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

// For a log, of what a registry may have said.
std::string one_line(std::string text) {
  constexpr std::size_t kLineBytesMax = 300;
  if (text.size() > kLineBytesMax) text = text.substr(0, kLineBytesMax) + "...";
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

// What of an image's configuration counts. One that we do not take is refused.
base::Status read_config(const json::value& described, const std::string& base, Image* image) {
  const json::value* const config = member(described, "Config");
  const json::value* const volumes = config != nullptr ? member(*config, "Volumes") : nullptr;
  // dockerd would make them writable, without a limit, and one at the folder of our programs would
  // hide these from the image that is made of it.
  if (volumes != nullptr && volumes->is_object() && !volumes->as_object().empty()) {
    return base::fail(base::ErrorCode::kNotFound,
                      "image " + base + " declares volumes (" +
                          one_line(volumes->as_object().begin()->key()) + ")",
                      "build it without VOLUME, or docker export and import it");
  }
  const json::value* const environment = config != nullptr ? member(*config, "Env") : nullptr;
  if (environment == nullptr || !environment->is_array()) return {};
  std::size_t bytes = 0;
  for (const json::value& entry : environment->as_array()) {
    if (!entry.is_string()) continue;
    bytes += entry.as_string().size();
    image->environment.emplace_back(entry.as_string());
  }
  if (image->environment.size() > kImageVariablesMax || bytes > kImageVariablesBytesMax) {
    return base::fail(base::ErrorCode::kNotFound,
                      "image " + base + " has more than " + std::to_string(kImageVariablesMax) +
                          " variables, or more than " +
                          std::to_string(kImageVariablesBytesMax / 1024) + " KiB of them",
                      "build it with less ENV");
  }
  return {};
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

const json::value* member(const json::value& value, std::string_view name) {
  const json::object* const object = value.if_object();
  return object != nullptr ? object->if_contains(name) : nullptr;
}

std::span<const json::value> list_in(const base::Result<Answer>& answer, std::string_view name) {
  if (!answer) return {};
  const json::value* const list = name.empty() ? &answer->body : member(answer->body, name);
  const json::array* const array = list != nullptr ? list->if_array() : nullptr;
  if (array == nullptr) return {};
  return {array->data(), array->size()};
}

std::string text_of(const json::value& value, std::string_view name) {
  const json::value* const found = member(value, name);
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : std::string();
}

std::string filter(std::string_view name, std::string_view value) {
  const json::object filters = {{std::string(name), json::array{std::string(value)}}};
  std::string encoded;
  for (const char c : json::serialize(filters)) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%%%02X", static_cast<unsigned char>(c));
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    encoded += plain ? std::string(1, c) : std::string(digits);
  }
  return "filters=" + encoded;
}

ImagePuller::ImagePuller(std::string socket, std::string image, bool always)
    : socket_(std::move(socket)), image_(std::move(image)), always_(always) {
  // Without a tag dockerd would pull every one that there is.
  const std::size_t slash = image_.rfind('/');
  const std::size_t name = slash == std::string::npos ? 0 : slash;
  if (image_.find_first_of(":@", name) == std::string::npos) image_ += ":latest";
}

void ImagePuller::try_it() {
  const auto engine = Engine::connect(socket_, kPullTimeout);
  if (!engine) return;  // who needs it says so
  const auto there = engine->get("/images/" + image_ + "/json");
  if (!there || (!always_ && there->status == kOk)) return;
  const base::Status pulled = engine->pull(image_);
  const std::string complaint = pulled ? "" : one_line(pulled.error().to_string());
  if (pulled) always_ = false;
  if (complaint != std::exchange(complaint_, complaint) && !pulled) {
    std::fprintf(stderr, "airlock-broker: %s\n", complaint.c_str());
  }
}

void sweep_images(const Engine& engine) {
  const std::string label = filter("label", kImageLabel);
  const auto containers = engine.get("/containers/json?all=1&" + label);
  const std::int64_t now = std::time(nullptr);
  for (const json::value& entry : list_in(containers)) {
    const json::value* const created = member(entry, "Created");
    if (text_of(entry, "State") != "created" || created == nullptr || !created->is_int64() ||
        now - created->as_int64() < kMakingSecondsMax) {
      continue;
    }
    (void)engine.remove("/containers/" + text_of(entry, "Id") + "?v=1");
  }
  const auto images = engine.get("/images/json?" + label);
  for (const json::value& entry : list_in(images)) {
    const json::value* const tags = member(entry, "RepoTags");
    const bool nameless = tags == nullptr || !tags->is_array() || tags->as_array().empty() ||
                          tags->as_array()[0] == json::value("<none>:<none>");
    // One that is used is not removed without force.
    if (nameless) (void)engine.remove("/images/" + text_of(entry, "Id") + "?noprune=1");
  }
}

base::Result<Image> find_image(const Engine& engine, const std::string& base,
                               const std::string& programs, const Image* known) {
  AIRLOCK_ASSIGN(const Answer found, engine.get("/images/" + base + "/json"));
  if (found.status == kNotFound) {
    return base::fail(base::ErrorCode::kNotFound, "Docker has no image " + base,
                      "docker pull or docker import it, unless execution.image_pull is about to; "
                      "the default one is named by execution.docker_image");
  }
  if (found.status != kOk) return refused("look for " + base, found);
  Image image{.base_id = text_of(found.body, "Id"), .name = {}, .environment = {}};
  if (known != nullptr && known->base_id == image.base_id) return *known;
  AIRLOCK_TRY(read_config(found.body, base, &image));
  AIRLOCK_ASSIGN(const Layer layer, make_layer(programs));
  // The whole digest: who makes one image must not find a second one that is called the same.
  const std::size_t colon = image.base_id.find(':');
  image.name = std::string(kImageName) + ":" +
               image.base_id.substr(colon == std::string::npos ? 0 : colon + 1) + "-" + layer.stamp;
  AIRLOCK_ASSIGN(const Answer made, engine.get("/images/" + image.name + "/json"));
  // By name and not by id: somebody else who makes the same at the same time takes the name away.
  if (made.status != kOk) AIRLOCK_TRY(make_image(engine, image.base_id, layer, image.name));
  return image;
}

}  // namespace airlock::container
