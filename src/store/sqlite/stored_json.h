// Members of JSON objects that can be read back: texts as UTF-8 whatever they were, times as
// microseconds since 1970. Only for the codecs of this folder.
// Texts are cut at kTextBytesMax; paths and details of ours are far below.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

#include "model/job.h"
#include "store/job_values.h"
#include "store/sqlite/job_codec.h"

namespace airlock::store::sqlite {

inline void put(boost::json::object& object, std::string_view key, std::string_view text) {
  object.emplace(boost::json::string_view(key.data(), key.size()),
                 storable_text(text, kTextBytesMax));
}

inline void put(boost::json::object& object, std::string_view key, model::WallTime time) {
  object.emplace(boost::json::string_view(key.data(), key.size()), time.time_since_epoch().count());
}

}  // namespace airlock::store::sqlite
