#include "store/sqlite/job_codec.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/utf8.h"
#include "store/sqlite/json_fields.h"
#include "store/sqlite/phase_codec.h"
#include "store/sqlite/stored_json.h"

namespace airlock::store::sqlite {
namespace {

namespace json = boost::json;

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = base::utf8_character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

base::Status must_be_utf8(std::string_view name, std::string_view text) {
  if (is_utf8(text)) return {};
  return base::fail(base::ErrorCode::kInvalidArgument, std::string(name) + " is no UTF-8");
}

std::string text_of(const json::value& value) { return json::serialize(value); }

template <typename Value, typename EncodeOne>
std::string encode_all(const std::vector<Value>& values, EncodeOne encode_one) {
  json::array array;
  array.reserve(values.size());
  for (const Value& value : values) array.push_back(encode_one(value));
  return text_of(array);
}

template <typename Value, typename DecodeOne>
base::Status decode_all(std::string_view text, std::vector<Value>& values, DecodeOne decode_one) {
  AIRLOCK_ASSIGN(const json::value value, parse_stored(text));
  const json::array* const array = value.if_array();
  if (array == nullptr) return base::fail(base::ErrorCode::kIo, "is no array");
  values.clear();
  values.reserve(array->size());
  for (const json::value& element : *array) AIRLOCK_TRY(decode_one(element, values.emplace_back()));
  return {};
}

json::object encode_env(const std::map<std::string, std::string>& env) {
  json::object object;
  for (const auto& [name, value] : env) object.emplace(name, value);
  return object;
}

void decode_env(JsonFields& fields, std::map<std::string, std::string>& env) {
  const json::value* const member = fields.find("env");
  if (member == nullptr) return;
  const json::object* const object = member->if_object();
  if (object == nullptr) return fields.refuse("env", "no object");
  env.clear();
  for (const auto& [name, value] : *object) {
    const json::string* const text = value.if_string();
    if (text == nullptr) return fields.refuse("env", "no text");
    env.emplace(std::string(name.data(), name.size()), std::string(text->data(), text->size()));
  }
}

json::object encode_egress(const model::EgressEntry& entry) {
  json::object object;
  put(object, "phase", entry.phase);
  put(object, "host", entry.host);
  object.emplace("port", entry.port);
  object.emplace("allowed", entry.allowed);
  put(object, "reason", entry.reason);
  object.emplace("connections", entry.connections);
  object.emplace("bytes_out", entry.bytes_out);
  object.emplace("bytes_in", entry.bytes_in);
  return object;
}

base::Status decode_egress(const json::value& value, model::EgressEntry& entry) {
  JsonFields fields(value, "egress");
  fields.read("phase", entry.phase);
  fields.read("host", entry.host);
  fields.read("port", entry.port);
  fields.read("allowed", entry.allowed);
  fields.read("reason", entry.reason);
  fields.read("connections", entry.connections);
  fields.read("bytes_out", entry.bytes_out);
  fields.read("bytes_in", entry.bytes_in);
  return fields.status();
}

}  // namespace

std::string storable_text(std::string_view text, std::size_t bytes_max) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::string result;
  result.reserve(std::min(text.size(), bytes_max));
  while (!text.empty()) {
    const std::size_t length = base::utf8_character_length(text);
    const std::string_view next = length == 0 ? kReplacement : text.substr(0, length);
    if (result.size() + next.size() > bytes_max) break;
    result += next;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

base::Status is_storable(const model::JobSpec& spec) {
  AIRLOCK_TRY(must_be_utf8("repo_url", spec.repo_url));
  AIRLOCK_TRY(must_be_utf8("repo_branch", spec.repo_branch));
  AIRLOCK_TRY(must_be_utf8("repo_commit", spec.repo_commit));
  AIRLOCK_TRY(must_be_utf8("repo_path", spec.repo_path));
  AIRLOCK_TRY(must_be_utf8("weight_class", spec.weight_class.gpu_type));
  AIRLOCK_TRY(must_be_utf8("input_uri", spec.input_uri));
  AIRLOCK_TRY(must_be_utf8("output_uri", spec.output_uri));
  AIRLOCK_TRY(must_be_utf8("validator_hotkey", spec.validator_hotkey));
  AIRLOCK_TRY(must_be_utf8("miner_hotkey", spec.miner_hotkey));
  AIRLOCK_TRY(must_be_utf8("challenge", spec.challenge));
  for (const auto& [name, value] : spec.env) {
    AIRLOCK_TRY(must_be_utf8("the name of a variable in env", name));
    AIRLOCK_TRY(must_be_utf8("env." + name, value));
  }
  return {};
}

std::string encode(const model::JobSpec& spec) {
  json::object object;
  object.emplace("repo_url", spec.repo_url);
  object.emplace("repo_branch", spec.repo_branch);
  object.emplace("repo_commit", spec.repo_commit);
  object.emplace("repo_path", spec.repo_path);
  object.emplace("gpus", spec.weight_class.gpus);
  object.emplace("gpu_type", spec.weight_class.gpu_type);
  object.emplace("input_uri", spec.input_uri);
  object.emplace("output_uri", spec.output_uri);
  object.emplace("priority", spec.priority);
  object.emplace("validator_hotkey", spec.validator_hotkey);
  object.emplace("miner_hotkey", spec.miner_hotkey);
  object.emplace("env", encode_env(spec.env));
  object.emplace("challenge", spec.challenge);
  if (spec.min_isolation) {
    put(object, "min_isolation", model::isolation_level_name(*spec.min_isolation));
  }
  if (spec.cpu_millis) object.emplace("cpu_millis", *spec.cpu_millis);
  if (spec.memory) object.emplace("memory", spec.memory->count());
  if (spec.disk) object.emplace("disk", spec.disk->count());
  if (spec.prep_timeout) object.emplace("prep_ms", spec.prep_timeout->count());
  if (spec.inference_timeout) object.emplace("inference_ms", spec.inference_timeout->count());
  return text_of(object);
}

base::Status decode(std::string_view text, model::JobSpec& spec) {
  AIRLOCK_ASSIGN(const json::value value, parse_stored(text));
  spec = {};
  JsonFields fields(value, "spec");
  fields.read("repo_url", spec.repo_url);
  fields.read("repo_branch", spec.repo_branch);
  fields.read("repo_commit", spec.repo_commit);
  fields.read("repo_path", spec.repo_path);
  fields.read("gpus", spec.weight_class.gpus);
  fields.read("gpu_type", spec.weight_class.gpu_type);
  fields.read("input_uri", spec.input_uri);
  fields.read("output_uri", spec.output_uri);
  fields.read("priority", spec.priority);
  fields.read("validator_hotkey", spec.validator_hotkey);
  fields.read("miner_hotkey", spec.miner_hotkey);
  decode_env(fields, spec.env);
  fields.read("challenge", spec.challenge);
  model::IsolationLevel level{};
  fields.read_name("min_isolation", level, model::find_isolation_level);
  if (fields.find("min_isolation") != nullptr) spec.min_isolation = level;
  fields.read("cpu_millis", spec.cpu_millis);
  fields.read("memory", spec.memory);
  fields.read("disk", spec.disk);
  fields.read("prep_ms", spec.prep_timeout);
  fields.read("inference_ms", spec.inference_timeout);
  return fields.status();
}

std::string encode(const std::vector<model::AssignedGpu>& gpus) {
  return encode_all(gpus, [](const model::AssignedGpu& gpu) {
    json::object object;
    object.emplace("index", gpu.index);
    put(object, "uuid", gpu.uuid);
    return object;
  });
}

base::Status decode(std::string_view text, std::vector<model::AssignedGpu>& gpus) {
  return decode_all(text, gpus, [](const json::value& value, model::AssignedGpu& gpu) {
    JsonFields fields(value, "gpu");
    fields.read("index", gpu.index);
    fields.read("uuid", gpu.uuid);
    return fields.status();
  });
}

std::string encode(const std::vector<model::PhaseRecord>& phases) {
  return encode_all(phases, encode_phase);
}

base::Status decode(std::string_view text, std::vector<model::PhaseRecord>& phases) {
  return decode_all(text, phases, decode_phase);
}

std::string encode(const std::vector<model::EgressEntry>& entries) {
  return encode_all(entries, encode_egress);
}

base::Status decode(std::string_view text, std::vector<model::EgressEntry>& entries) {
  return decode_all(text, entries, decode_egress);
}

std::string encode(const model::SealRecord& seal) {
  json::object object;
  object.emplace("sealed", seal.sealed);
  if (seal.sealed_at) put(object, "sealed_at", *seal.sealed_at);
  object.emplace("processes_killed", seal.processes_killed);
  object.emplace("connections_closed", seal.connections_closed);
  return text_of(object);
}

base::Status decode(std::string_view text, model::SealRecord& seal) {
  AIRLOCK_ASSIGN(const json::value value, parse_stored(text));
  seal = {};
  JsonFields fields(value, "seal");
  fields.read("sealed", seal.sealed);
  fields.read("sealed_at", seal.sealed_at);
  fields.read("processes_killed", seal.processes_killed);
  fields.read("connections_closed", seal.connections_closed);
  return fields.status();
}

std::string encode(const std::vector<model::ArtifactDigest>& artifacts) {
  return encode_all(artifacts, [](const model::ArtifactDigest& artifact) {
    json::object object;
    put(object, "path", artifact.path);
    object.emplace("size", artifact.size.count());
    put(object, "sha256", artifact.sha256);
    return object;
  });
}

base::Status decode(std::string_view text, std::vector<model::ArtifactDigest>& artifacts) {
  return decode_all(text, artifacts, [](const json::value& value, model::ArtifactDigest& artifact) {
    JsonFields fields(value, "artifact");
    fields.read("path", artifact.path);
    fields.read("size", artifact.size);
    fields.read("sha256", artifact.sha256);
    return fields.status();
  });
}

}  // namespace airlock::store::sqlite
