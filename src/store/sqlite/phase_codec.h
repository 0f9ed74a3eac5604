// A phase of a job as a JSON object: what it ran under, how it ended, what it used.
//
// Part of the codecs of job_codec.h, with the same promises. Enumerators are stored by their names,
// never by their numbers, which may change.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"
#include "model/job.h"

namespace airlock::store::sqlite {

boost::json::object encode_phase(const model::PhaseRecord& phase);
base::Status decode_phase(const boost::json::value& value, model::PhaseRecord& phase);

}  // namespace airlock::store::sqlite
